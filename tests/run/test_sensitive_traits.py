"""A run whose policy declares sensitive traits: in no forecast, compared by groups, explained to the customer."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pyarrow as pa
import pytest

from patron import decide
from patron.answers.models.models import models
from patron.commands.access.manage_keys import create_key
from patron.commands.data.simulated_loop import ingest_events, write_rules
from patron.decide.candidates import candidates_query
from patron.decide.fair_churn import ChurnFairness, moved_stages
from patron.decide.trait_groups import read_groups
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault
from patron.interfaces.console.screenshots import served
from patron.run import run_loop, stage_view
from patron.schema.table_definition import TEXT
from patron.schema.tables import BY_NAME, TABLES
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.shop import POLICY_FILE, Shop

pytestmark = pytest.mark.xdist_group("sensitive_traits")  # its run takes long
TRAITS = '\n[fairness]\nsensitive_traits = ["gender", "income", "religion"]\nfewest_customers = 20\n'


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.delenv("PATRON_MASTER_KEY", raising=False)
        settings = replace(DEFAULT_SHOP, customers=130, sensitive_group_share=0.4)
        Shop.create(folder / "w").close()
        write_rules(folder / "w", settings, budget_cents=100_000)
        with (folder / "w" / POLICY_FILE).open("a", encoding="utf-8") as policy:
            policy.write(TRAITS)
        world = ShopSimulator(settings, seed=5)
        shop = Shop.open(folder / "w")
        ingest_events(shop, world.history(300), received_at=world.now)
        run_loop(shop, world.now)
        yield shop
        shop.close()


def test_a_sensitive_trait_is_no_feature_of_any_model_and_no_reason(finished):
    features = finished.lake.read(BY_NAME["features"])
    assert set(features["declared_income"].to_pylist()) == {None}
    assert len(set(features["declared_region"].to_pylist())) > 1, "others stay"
    assert not [name for name in features.column_names if "gender" in name]
    view = finished.snapshot()
    reasons = view.query("select reasons from scores where reasons is not null")["reasons"].to_pylist()
    moved = {reason[1:].partition("=")[0] for listed in reasons for reason in listed}
    assert moved
    assert not moved & {"declared_income", "declared_gender"}
    saved = [path.read_text("utf-8") for path in (finished.folder / "models").rglob("*.json")]
    assert any("declared_region" in text for text in saved)
    assert not [text for text in saved if "declared_income" in text]
    apart = view.query("select distinct trait from persona_traits")["trait"].to_pylist()
    assert not [trait for trait in apart if "income" in trait or "gender" in trait]


def test_groups_from_the_vault_are_compared(finished):
    compared = models(finished).fairness
    assert compared is not None
    groups = {row.group_name for row in compared.results if row.trait == "gender"}
    assert groups == {"a", "b"}
    assert compared.unknown_traits == ("religion",)
    assert ("churn", "gender") not in {(decision, trait) for decision, trait, _ in compared.left_out}
    assert not compared.is_pinned
    rates = compared.table("churn", "none", "gender")
    assert set(rates["a"]) >= {"selection_rate", "true_positive_rate", "calibration_gap"}


def test_no_table_says_who_is_in_a_group_of_the_vault(finished):
    view = finished.snapshot()
    groups = {row["group_name"] for row in view.read("fairness").to_pylist() if row["trait"] == "gender"} - {""}
    assert groups == {"a", "b"}
    about_customers = [table for table in TABLES if {"customer_id", "token"} & table.names]
    assert len(about_customers) > 10
    for table in about_customers:
        rows = view.read(table.name)
        for column in table.columns:
            if column.type == TEXT:
                assert not groups & set(rows[column.name].to_pylist()), f"{table.name}.{column.name}"


def test_the_threshold_of_a_group_changes_who_is_considered_for_an_offer(finished):
    view = stage_view(finished, decide, run=finished.snapshot().run)
    groups = read_groups(view, ["gender"])
    churn = ChurnFairness(groups=groups, trait="gender", thresholds={"b": 0.2})
    moved = moved_stages(view, churn).to_pylist()
    assert moved
    assert {row["lifecycle_stage"] for row in moved} == {"at_risk"}
    assert {groups["gender"][row["customer_id"]] for row in moved} == {"b"}
    ids = {row["customer_id"] for row in moved}
    nobody = pa.table({"customer_id": pa.array([], pa.string()), "offer_count": pa.array([], pa.int64())})
    query = candidates_query(view.run.run_id, view.run.as_of, finished.policy)
    before, after = (
        set(view.query(query, moved_stages=rows, offered=nobody)["customer_id"].to_pylist())
        for rows in (moved_stages(view, ChurnFairness()), moved_stages(view, churn))
    )
    assert before < after
    assert after - before <= ids


def test_the_models_page_shows_the_groups_in_both_languages(finished):
    with served(finished) as address:
        path = f"{address}/models/fairness"
        pages = {lang: httpx.get(path, params={"lang": lang}, timeout=60).text for lang in ("en", "zh_CN")}
    assert "Fairness" in pages["en"]
    assert "Gender" in pages["en"]
    assert "公平性" in pages["zh_CN"]
    assert "性别" in pages["zh_CN"]
    assert "fairness." not in pages["en"].replace("fairness.html", "")


def test_a_customer_reads_what_the_tables_say_by_the_shops_own_id(finished):
    key = create_key(RequestContext.from_name(finished, now=datetime.now(UTC)), "shop", "secret").key
    users = [f"C{n}" for n in range(1, 25)]
    with served(finished) as address, httpx.Client(base_url=address, timeout=30) as client:
        assert client.post("/api/people/explanation", json={"user_id": "C1"}).status_code == 401
        headers = {"authorization": f"Bearer {key}"}
        unknown = client.post("/api/people/explanation", json={"user_id": "nobody"}, headers=headers)
        answers = [client.post("/api/people/explanation", json={"user_id": user}, headers=headers) for user in users]
        document = client.get("/openapi.json").json()
    assert unknown.status_code == 404
    assert "/api/people/explanation" in document["paths"]
    facts = facts_of(finished, users)
    texts = {user: answer.json()["sentences"] for user, answer in zip(users, answers, strict=True) if user in facts}
    assert [answer.status_code for answer in answers] == [200 if user in facts else 404 for user in users]
    assert len(texts) >= 4
    assert len({fact["action"] is None for fact in facts.values()}) == 2, "considered, and not"
    for user, sentences in texts.items():
        assert set(sentences) == {"en", "zh-CN"}
        assert len(sentences["en"]) == len(sentences["zh-CN"])
        assert sentences["en"][0].startswith(OF_ACTION.get(facts[user]["action"], "The shop sent you the offer"))
        assert any(sentence.startswith(forecast_of(facts[user]["churn"])) for sentence in sentences["en"])
        assert any("Gender, Income, Religion" in sentence for sentence in sentences["en"])
        assert not [one for listed in sentences.values() for one in listed if re.search(r"[{}_]|0\.\d", one)]


OF_ACTION = {None: "You were not among the customers considered", "none": "The shop chose no offer"}


def forecast_of(churn):
    if churn is None:
        return "The shop has not forecast"
    return f"The shop's forecast is that you {'may not' if churn >= 0.5 else 'will probably'} buy"


def facts_of(shop, users):
    """Action and churn probability of each user whom the run knows."""
    view, vault = shop.snapshot(), Vault.open(shop)
    chosen = pa.table({"user": users, "token": [vault.token("user_id", user) for user in users]})
    run = f"'{view.run.run_id}'"
    sql = f"""
select c."user", d.action, s.value as churn from chosen c join identities i on i.token = c.token
join segments g on g.run_id = {run} and g.customer_id = i.customer_id
left join decisions d on d.run_id = {run} and d.customer_id = i.customer_id
left join scores s on s.run_id = {run} and s.customer_id = i.customer_id and s.question = 'churn'"""
    return {row["user"]: row for row in view.query(sql, chosen=chosen).to_pylist()}
