"""Consent in a workspace: the ledger, what collect keeps, what is decided, and the proof that stays."""

import json
import re
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.loader import load_events
from patron.collect.request import source_rules, validate_batch
from patron.collect.tracking_plan import NO_PLAN
from patron.commands.data.doctor import doctor
from patron.commands.data.import_files import replay
from patron.commands.data.trace import trace
from patron.commands.privacy.export import export_customer
from patron.commands.privacy.forget import forget
from patron.govern.access.request_context import RequestContext
from patron.govern.privacy.consent_ledger import event_hash, history, words_place
from patron.govern.vault import Vault, initial_customer_id
from patron.run import run_loop
from patron.schema.errors import NotFound
from patron.schema.progress import silent
from patron.schema.tables import CONSENTS, CUSTOMERS, DECISIONS, EVENTS, EXPOSURES, IDENTITIES, INTERACTIONS
from patron.service.compaction_worker import CompactionWorker
from patron.service.customer_lookup import lookup_customer
from patron.storage.shop import Shop
from patron.storage.store.store import DEAD_LETTERS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def needs_analytics(shop):
    """Open the workspace with a policy that asks for consent to behaviour."""

    def opened(without="keep", unknown="refuse"):
        path = shop.folder / "policy.toml"
        text = path.read_text(encoding="utf-8").replace('events_need = ""', 'events_need = "analytics"')
        text = text.replace('without = "keep"', f'without = "{without}"')
        path.write_text(text.replace('unknown = "refuse"', f'unknown = "{unknown}"'), encoding="utf-8")
        return Shop.open(shop.folder)

    return opened


def message(event_id, event="Product Viewed", *, minutes_ago=1, user="u1", visitor=None, **properties):
    base = {"type": "track", "event": event, "messageId": event_id, "userId": user, "anonymousId": visitor}
    at = (NOW - timedelta(minutes=minutes_ago)).isoformat()
    return base | {"timestamp": at, "properties": {"product_id": "p1"} | properties}


def says(event_id, answer, purpose="analytics", **more):
    return message(event_id, f"Consent {answer}", purpose=purpose, **more)


def put(shop, *messages, is_secret=True, is_history=False, source="web"):
    rules = source_rules(shop, source, NO_PLAN, is_secret=is_secret, is_history=is_history)
    with open_inbox(shop) as inbox:
        inbox.append([validate_batch(json.dumps({"batch": messages}).encode(), source, NOW, rules)])


def run_once(shop):
    worker = CompactionWorker(shop)
    worker.run_once()
    assert worker.trouble is None


def flags(shop):
    rows = shop.lake.read(EVENTS)
    return dict(zip(rows["event_id"].to_pylist(), rows["flags"].to_pylist(), strict=True))


def token(shop, user="u1"):
    return Vault.open(shop).token("user_id", user)


STORY = (
    message("before", minutes_ago=9),
    says("yes", "Given", minutes_ago=8, wording="We look at what you look at.", wording_version="3", locale="en"),
    message("during", minutes_ago=7),
    says("no", "Withdrawn", minutes_ago=6),
    message("after", minutes_ago=5),
    message("order", "Order Completed", minutes_ago=4, order_id="o1", revenue=20),
    message("other", minutes_ago=5, user="u2"),
)


@pytest.mark.parametrize("in_run", [False, True])
def test_behaviour_is_judged_by_the_last_consent_at_its_time(needs_analytics, in_run):
    shop = needs_analytics()
    for part in ([one] for one in reversed(STORY)) if in_run else [STORY]:
        put(shop, *part)
    assert lookup_customer(shop, "u1", now=NOW).live.event_count == 4
    run_once(shop)
    kept = {"during": None, "yes": None, "no": None, "order": None}
    assert flags(shop) == {**kept, "before": ["no_consent"], "after": ["no_consent"], "other": ["no_consent"]}
    assert lookup_customer(shop, "u1", now=NOW).live.event_count == 4
    entries = history(shop.store, [token(shop)])
    assert [(entry["event"], entry["is_granted"], entry["purpose"]) for entry in entries] == [
        (event_hash("web", "yes"), True, "analytics"),
        (event_hash("web", "no"), False, "analytics"),
    ]
    words = Vault.open(shop).unseal_text(entries[0]["words"], words_place(entries[0]["wording"]))
    assert (words, entries[0]["wording_version"]) == ("We look at what you look at.", "3")
    shop.close()


@pytest.mark.parametrize("sources", [("app", "server"), ("server", "app")])
def test_consent_and_behaviour_may_come_from_different_sources(needs_analytics, sources):
    shop = needs_analytics()
    consent, behaviour = sources
    put(shop, says("yes", "Given", minutes_ago=9), says("no", "Withdrawn", minutes_ago=3), source=consent)
    put(shop, message("a", minutes_ago=5), message("b", minutes_ago=1), source=behaviour)
    before = lookup_customer(shop, "u1", now=NOW).live.event_count
    run_once(shop)
    assert flags(shop) == {"yes": None, "no": None, "a": None, "b": ["no_consent"]}
    assert before == lookup_customer(shop, "u1", now=NOW).live.event_count == 3
    shop.close()


def test_behaviour_without_consent_makes_no_customer_and_links_nobody(needs_analytics):
    shop = needs_analytics()
    order = message("o", "Order Completed", user="u1", order_id="o", revenue=5)
    put(shop, order, message("a", user="nobody else", visitor="v1"), message("b", user=None, visitor="v2"))
    run_once(shop)
    run_loop(shop, NOW + timedelta(minutes=1))
    assert shop.lake.read(IDENTITIES).num_rows == 1
    assert shop.lake.read(CUSTOMERS).num_rows == 1
    shop.close()


def test_what_is_refused_leaves_no_content(needs_analytics):
    shop = needs_analytics("refuse")
    put(shop, *STORY)
    run_once(shop)
    assert sorted(flags(shop)) == ["during", "no", "order", "yes"]
    with shop.store.begin() as connection:
        dead_letters = connection.execute(DEAD_LETTERS.select()).mappings().all()
    vault = Vault.open(shop)
    assert [letter["reason"] for letter in dead_letters] == ["no_consent"] * 3
    assert {vault.unseal(letter["payload"], letter["dead_letter_id"]) for letter in dead_letters} == {b""}
    with open_inbox(shop) as inbox:
        counted = inbox.counts()["web"]
    assert (counted.stored, counted.rejected) == (4, 3)
    assert replay(shop, "live", mapping=None, progress=silent, now=datetime.now(UTC)).read == 0
    assert all(finding.level == "ok" for finding in doctor(shop.folder) if finding.check == "dead letters")
    shop.close()


def test_silence_is_what_the_policy_says(needs_analytics):
    shop = needs_analytics(unknown="allow")
    put(shop, message("a"), message("b", user="u2"), says("no", "Withdrawn", user="u2", minutes_ago=2))
    run_once(shop)
    assert flags(shop) == {"a": None, "b": ["no_consent"], "no": None}
    shop.close()


def test_rows_of_a_file_are_checked_for_consent_too(needs_analytics):
    shop = needs_analytics("refuse")
    rows = [
        {"event_id": "v", "name": "Product Viewed", "occurred_at": NOW, "user_id": "u1", "properties": None},
        {"event_id": "o", "name": "Order Completed", "occurred_at": NOW, "user_id": "u1", "order_id": "o"},
        {
            "event_id": "y",
            "name": "Consent Given",
            "occurred_at": NOW,
            "user_id": "u2",
            "properties": '{"purpose":"analytics"}',
        },
        {"event_id": "w", "name": "Product Viewed", "occurred_at": NOW, "user_id": "u2"},
    ]
    done = load_events(shop, pa.Table.from_pylist(rows), source="file", known="occurred", received_at=NOW)
    assert (done.stored, done.rejected) == (3, 1)
    assert sorted(flags(shop)) == ["o", "w", "y"]
    shop.close()


def test_a_device_may_say_no_for_itself_and_not_for_its_user(needs_analytics):
    shop = needs_analytics(unknown="allow")
    put(shop, says("no", "Withdrawn", visitor="v1", minutes_ago=5), is_secret=False)
    put(shop, message("device", user=None, visitor="v1"), message("user", visitor="v1"), message("elsewhere"))
    run_once(shop)
    assert flags(shop) == {"no": None, "device": ["no_consent"], "user": ["no_consent"], "elsewhere": None}
    assert history(shop.store, [token(shop)]) == []
    shop.close()


def test_segments_consent_manager_fills_the_ledger(needs_analytics):
    shop = needs_analytics()
    context = {"consent": {"categoryPreferences": {"Analytics": True, "Advertising": False}}}
    preference = message("p", "Segment Consent Preference Updated", user=None, visitor="v1", minutes_ago=3)
    put(shop, preference | {"context": context}, message("a", user=None, visitor="v1"), is_secret=False)
    run_once(shop)
    device = Vault.open(shop).token("anonymous_id", "v1")
    found = {one["purpose"]: one["is_granted"] for one in history(shop.store, [device])}
    assert found == {"analytics": True, "advertising": False}
    assert flags(shop) == {"p": None, "a": None}
    shop.close()


def at_risk(n, day):
    return message(
        f"o{n}-{day}", "Order Completed", minutes_ago=day * 1440, user=f"u{n}", order_id=f"o{n}-{day}", revenue=30
    )


def test_a_run_knows_the_preferences_a_consent_manager_sent_for_a_user(shop):
    context = {"consent": {"categoryPreferences": {"Ads": False, "Analytics": True}}}
    preference = message("p", "Segment Consent Preference Updated") | {"context": context}
    put(shop, preference, at_risk(1, 20), at_risk(2, 30))
    policy = shop.folder / "policy.toml"
    text = policy.read_text(encoding="utf-8").replace("# names = {", 'names = { ads = "marketing" } # {')
    policy.write_text(text, encoding="utf-8")
    opened = Shop.open(shop.folder)
    run_loop(opened, NOW + timedelta(minutes=1))
    rows = opened.lake.read(CONSENTS).to_pylist()
    found = {row["purpose"]: (row["is_granted"], row["is_latest"], row["is_of_user"]) for row in rows}
    assert found == {"marketing": (False, True, True), "analytics": (True, True, True)}
    opened.close()


def test_a_run_writes_to_those_who_agreed_by_then_and_still_do(shop):
    orders = [at_risk(n, day) for n in range(12) for day in (400, 330, 260)]
    put(shop, *orders)
    before = {"minutes_ago": 60 * 24 * 9, "purpose": "marketing"}
    put(shop, *(says(f"yes{n}", "Given", user=f"u{n}", basis="consent", **before) for n in range(9)))
    put(shop, says("no0", "Withdrawn", user="u0", minutes_ago=60 * 24 * 2, purpose="marketing"))
    put(shop, says("late", "Given", user="u11", minutes_ago=0, purpose="marketing"))
    policy = shop.folder / "policy.toml"
    text = policy.read_text(encoding="utf-8").replace("share = 0.10 ", "share = 0.0 ")
    policy.write_text(text.replace("assumed_purchase_uplift = 0.05", "assumed_purchase_uplift = 1.0"), encoding="utf-8")
    opened = Shop.open(shop.folder)
    as_of = NOW + timedelta(minutes=1)
    run_loop(opened, as_of)
    names = {Vault.open(opened).token("user_id", f"u{n}"): f"u{n}" for n in range(12)}
    of = {
        row["customer_id"]: names[row["token"]]
        for row in opened.snapshot().query("select * from identities").to_pylist()
    }
    basis = {of[row["customer_id"]]: row for row in opened.lake.read(DECISIONS).to_pylist()}
    assert {one: basis[one]["consent_basis"] for one in ("u0", "u1", "u9", "u11")} == {
        "u0": "withdrawn",
        "u1": "consent",
        "u9": "unknown_refused",
        "u11": "consent",
    }
    assert [basis[one]["action"] for one in ("u0", "u9")] == ["none", "none"]
    assert opened.lake.read(CONSENTS).num_rows == 11
    assert opened.lake.read(INTERACTIONS).num_rows == 0
    opened.close()


def test_who_refuses_personal_offers_gets_the_ordinary_one_whatever_is_known_of_them(shop):
    put(shop, *(at_risk(n, day) for n in range(12) for day in (400, 330, 260)), at_risk(12, 9))
    before = {"minutes_ago": 60 * 24 * 9}
    put(shop, *(says(f"yes{n}", "Given", user=f"u{n}", purpose="marketing", **before) for n in range(13) if n != 2))
    refusing = (0, 1, 2, 12)
    no = [says(f"no{n}", "Withdrawn", user=f"u{n}", purpose="personalisation", **before) for n in refusing]
    put(shop, *no, says("again", "Given", user="u1", purpose="personalisation", minutes_ago=60))
    policy = shop.folder / "policy.toml"
    ordinary = '[[offers]]\nid = "all"\nkind = "reminder"\nassumed_purchase_uplift = 0.0\nis_ordinary = true\n'
    policy.write_text(policy.read_text(encoding="utf-8") + ordinary, encoding="utf-8")
    opened = Shop.open(shop.folder)
    run_loop(opened, NOW + timedelta(minutes=1))
    rows = {row["customer_id"]: row for row in opened.lake.read(DECISIONS).to_pylist()}
    of = {n: rows[initial_customer_id(token(opened, f"u{n}"))] for n in range(13)}
    assert {n: of[n]["action"] for n in refusing if n != 1} == {0: "all", 2: "none", 12: "all"}
    assert [of[n]["reason"] for n in (0, 2, 12)] == ["ordinary_offer", "no_consent", "ordinary_offer"]
    assert of[1]["reason"] != "ordinary_offer"
    assert {of[n]["propensity"] for n in refusing if n != 1} == {1.0}
    assert set(opened.lake.read(EXPOSURES)["action"].to_pylist()) >= {"all"}
    opened.close()


@pytest.mark.parametrize(("purpose", "pattern"), [("marketing", "*.csv"), ("personalisation", "offers_*.csv")])
def test_who_withdraws_consent_after_the_cutoff_as_any_of_their_users_gets_no_offer(shop, purpose, pattern):
    days = [at_risk(n, day) for n in range(12) for day in (400, 330, 260)]
    yes = [says(f"yes{n}", "Given", user=f"u{n}", minutes_ago=60 * 24 * 9, purpose="marketing") for n in range(12)]
    no = [says(f"no{n}", "Withdrawn", user=f"x{n}", minutes_ago=60, purpose=purpose) for n in range(0, 12, 2)]
    alias = {"type": "alias", "timestamp": (NOW - timedelta(days=20)).isoformat()}
    one = [alias | {"messageId": f"al{n}", "userId": f"x{n}", "previousId": f"u{n}"} for n in range(0, 12, 2)]
    put(shop, *days, *yes, *no, *one, is_history=True)
    policy = shop.folder / "policy.toml"
    text = policy.read_text(encoding="utf-8").replace("share = 0.10 ", "share = 0.0 ")
    policy.write_text(text.replace("assumed_purchase_uplift = 0.05", "assumed_purchase_uplift = 1.0"), encoding="utf-8")
    opened = Shop.open(shop.folder)
    run_loop(opened, NOW - timedelta(days=1))
    decided = {row["customer_id"] for row in opened.lake.read(DECISIONS).to_pylist() if row["action"] != "none"}
    reached = set(opened.lake.read(EXPOSURES)["customer_id"].to_pylist())
    said_no = {initial_customer_id(token(opened, f"u{n}")) for n in range(0, 12, 2)}
    assert decided & said_no
    assert reached == decided - said_no
    files = "".join(path.read_text(encoding="utf-8") for path in (opened.folder / "outbox").rglob(pattern))
    assert not re.search(r"\bu(0|2|4|6|8|10)\b", files)
    assert re.search(r"\bu(1|3|5|7|9|11)\b", files)
    opened.close()


def test_the_proof_of_what_was_agreed_stays_when_a_person_is_forgotten(shop):
    put(shop, says("yes", "Given", purpose="marketing"), at_risk(1, 20), at_risk(2, 30))
    run_once(shop)
    run_loop(shop, NOW + timedelta(minutes=1))
    tables = export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id="u1")["tables"]
    assert [one["event"] for one in tables["ledger of consents"]] == [event_hash("web", "yes")]
    assert [consent["purpose"] for consent in tables["consents"]] == ["marketing"]
    known = token(shop)
    forget(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id="u1")
    assert [one["event"] for one in history(shop.store, [known])] == [event_hash("web", "yes")]
    with pytest.raises(NotFound):
        export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id="u1")
    assert shop.lake.read(CONSENTS).num_rows == 0
    assert all(finding.level == "ok" for finding in doctor(shop.folder) if "consents" in finding.check)


def test_a_trace_says_that_nothing_was_kept_and_why(needs_analytics):
    shop = needs_analytics("refuse")
    put(shop, *STORY)
    run_once(shop)
    assert "had not agreed" in trace(shop, "before").steps[-1].what
    shop.close()


def test_a_trace_says_that_what_was_kept_is_not_used(needs_analytics):
    shop = needs_analytics("keep")
    put(shop, *STORY)
    run_once(shop)
    assert "no facts are derived from it" in trace(shop, "before").steps[-1].what
    shop.close()


def test_doctor_knows_that_consent_is_sent(shop):
    assert [finding.level for finding in doctor(shop.folder) if finding.check == "policy"] == ["warning"]
    put(shop, says("yes", "Given", purpose="marketing"))
    run_once(shop)
    found = {finding.check: finding for finding in doctor(shop.folder)}
    assert found["policy"].level == "ok"
    assert found["ledger of consents"].what == "1 entries, none damaged"
