"""Consent in a workspace: the ledger, what collect keeps, what is decided, and the proof that stays."""

import json
import re
import shutil
from contextlib import closing
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


def changed_policy(shop, *changes, more=""):
    """Open the workspace with a policy in which these texts are others."""
    policy = shop.folder / "policy.toml"
    text = policy.read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    policy.write_text(text + more, encoding="utf-8")
    return Shop.open(shop.folder)


NOBODY_HELD_OUT = ("share = 0.10 ", "share = 0.0 ")
OFFERS_WIN = ("assumed_purchase_uplift = 0.05", "assumed_purchase_uplift = 1.0")
ORDINARY = '[[offers]]\nid = "all"\nkind = "reminder"\nassumed_purchase_uplift = 0.0\nis_ordinary = true\n'
LONG_AGO = 60 * 24 * 9
DAYS_OF_ORDERS = (400, 330, 260)
REFUSING = (20, 21, 22, 32)


@pytest.fixture(scope="module")
def decided_home(new_home, tmp_path_factory):
    """A home whose workspace ran once: u0 to u11 agreed or not, u20 to u32 refuse what is personal, and two others."""
    home = tmp_path_factory.mktemp("decided")
    shutil.copytree(new_home, home, dirs_exist_ok=True)
    agreed = {"minutes_ago": LONG_AGO, "purpose": "marketing"}
    context = {"consent": {"categoryPreferences": {"Ads": False, "Analytics": True}}}
    preference = message("p", "Segment Consent Preference Updated", user="manager") | {"context": context}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        patch.delenv("PATRON_MASTER_KEY", raising=False)
        names = ("# names = {", 'names = { ads = "marketing" } # {')
        with closing(Shop.open(home / "w")) as new:
            shop = changed_policy(new, names, NOBODY_HELD_OUT, OFFERS_WIN, more=ORDINARY)
        put(shop, *(at_risk(n, day) for n in (*range(12), *range(20, 32)) for day in DAYS_OF_ORDERS), at_risk(32, 9))
        put(shop, *(says(f"yes{n}", "Given", user=f"u{n}", basis="consent", **agreed) for n in range(9)))
        put(shop, says("no0", "Withdrawn", user="u0", minutes_ago=60 * 24 * 2, purpose="marketing"))
        put(shop, says("late", "Given", user="u11", minutes_ago=0, purpose="marketing"))
        put(shop, *(says(f"yes{n}", "Given", user=f"u{n}", **agreed) for n in range(20, 33) if n != 22))
        personal = {"minutes_ago": LONG_AGO, "purpose": "personalisation"}
        put(shop, *(says(f"no{n}", "Withdrawn", user=f"u{n}", **personal) for n in REFUSING))
        put(shop, says("again", "Given", user="u21", purpose="personalisation", minutes_ago=60))
        put(shop, preference, at_risk("manager", 20))
        put(
            shop, says("yes", "Given", user="agreed", purpose="marketing"), at_risk("agreed", 20), at_risk("agreed", 30)
        )
        run_loop(shop, NOW + timedelta(minutes=1))
        shop.close()
    return home


@pytest.fixture
def decided(decided_home, tmp_path, monkeypatch):
    """A copy of that workspace, opened."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PATRON_MASTER_KEY", raising=False)
    shutil.copytree(decided_home, tmp_path, dirs_exist_ok=True)
    with closing(Shop.open(tmp_path / "w")) as shop:
        yield shop


def decisions_of(shop, users):
    """The decision of each of these users."""
    rows = {row["customer_id"]: row for row in shop.lake.read(DECISIONS).to_pylist()}
    return {user: rows[initial_customer_id(token(shop, user))] for user in users}


def consents_of(shop, *users):
    customers = {initial_customer_id(token(shop, user)) for user in users}
    return [row for row in shop.lake.read(CONSENTS).to_pylist() if row["customer_id"] in customers]


def test_a_run_knows_the_preferences_a_consent_manager_sent_for_a_user(decided):
    rows = consents_of(decided, "manager")
    found = {row["purpose"]: (row["is_granted"], row["is_latest"], row["is_of_user"]) for row in rows}
    assert found == {"marketing": (False, True, True), "analytics": (True, True, True)}


def test_a_run_writes_to_those_who_agreed_by_then_and_still_do(decided):
    basis = decisions_of(decided, ("u0", "u1", "u9", "u11"))
    assert {one: row["consent_basis"] for one, row in basis.items()} == {
        "u0": "withdrawn",
        "u1": "consent",
        "u9": "unknown_refused",
        "u11": "consent",
    }
    assert [basis[one]["action"] for one in ("u0", "u9")] == ["none", "none"]
    assert len(consents_of(decided, *(f"u{n}" for n in range(12)))) == 11
    assert decided.lake.read(INTERACTIONS).num_rows == 0


def test_who_refuses_personal_offers_gets_the_ordinary_one_whatever_is_known_of_them(decided):
    of = decisions_of(decided, (f"u{n}" for n in REFUSING))
    assert {one: row["action"] for one, row in of.items() if one != "u21"} == {
        "u20": "all",
        "u22": "none",
        "u32": "all",
    }
    assert [of[one]["reason"] for one in ("u20", "u22", "u32")] == ["ordinary_offer", "no_consent", "ordinary_offer"]
    assert of["u21"]["reason"] != "ordinary_offer"
    assert {row["propensity"] for one, row in of.items() if one != "u21"} == {1.0}
    assert set(decided.lake.read(EXPOSURES)["action"].to_pylist()) >= {"all"}


WITHDRAWALS = (("marketing", "*.csv", range(0, 12, 2)), ("personalisation", "offers_*.csv", range(12, 24, 2)))


def test_who_withdraws_consent_after_the_cutoff_as_any_of_their_users_gets_no_offer(shop):
    days = [at_risk(n, day) for n in range(24) for day in DAYS_OF_ORDERS]
    yes = [says(f"yes{n}", "Given", user=f"u{n}", minutes_ago=LONG_AGO, purpose="marketing") for n in range(24)]
    leaving = [(purpose, n) for purpose, _, numbers in WITHDRAWALS for n in numbers]
    no = [says(f"no{n}", "Withdrawn", user=f"x{n}", minutes_ago=60, purpose=purpose) for purpose, n in leaving]
    alias = {"type": "alias", "timestamp": (NOW - timedelta(days=20)).isoformat()}
    one = [alias | {"messageId": f"al{n}", "userId": f"x{n}", "previousId": f"u{n}"} for _, n in leaving]
    put(shop, *days, *yes, *no, *one, is_history=True)
    opened = changed_policy(shop, NOBODY_HELD_OUT, OFFERS_WIN)
    run_loop(opened, NOW - timedelta(days=1))
    decided = {row["customer_id"] for row in opened.lake.read(DECISIONS).to_pylist() if row["action"] != "none"}
    reached = set(opened.lake.read(EXPOSURES)["customer_id"].to_pylist())
    said_no = {n: initial_customer_id(token(opened, f"u{n}")) for _, n in leaving}
    assert reached == decided - set(said_no.values())
    for _, pattern, numbers in WITHDRAWALS:
        assert decided & {said_no[n] for n in numbers}
        files = "".join(path.read_text(encoding="utf-8") for path in (opened.folder / "outbox").rglob(pattern))
        assert not re.search(rf"\bu({'|'.join(map(str, numbers))})\b", files)
        assert re.search(rf"\bu({'|'.join(str(n + 1) for n in numbers)})\b", files)
    opened.close()


def test_the_proof_of_what_was_agreed_stays_when_a_person_is_forgotten(decided):
    context = RequestContext.from_name(decided, now=datetime.now(UTC))
    tables = export_customer(context, user_id="agreed")["tables"]
    assert [one["event"] for one in tables["ledger of consents"]] == [event_hash("web", "yes")]
    assert [consent["purpose"] for consent in tables["consents"]] == ["marketing"]
    known, others = token(decided, "agreed"), decided.lake.read(CONSENTS).num_rows - 1
    forget(context, user_id="agreed")
    assert [one["event"] for one in history(decided.store, [known])] == [event_hash("web", "yes")]
    with pytest.raises(NotFound):
        export_customer(context, user_id="agreed")
    assert (consents_of(decided, "agreed"), decided.lake.read(CONSENTS).num_rows) == ([], others)
    assert all(finding.level == "ok" for finding in doctor(decided.folder) if "consents" in finding.check)


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
