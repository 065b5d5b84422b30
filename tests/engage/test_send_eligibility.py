"""The order of checks: the first that forbids a message gives the reason."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from patron.engage.send_eligibility import SEND, Allowance, ConsentAnswer, MessageFacts, SendRules, Verdict, check
from patron.schema.outreach.message_states import MESSAGE_REASONS
from patron.storage.offers.policy import Consent
from patron.storage.outreach.message_policy import MessageCap, MessagePolicy

AT = datetime(2024, 3, 1, 22, tzinfo=UTC)
RULES = SendRules(
    Consent(),
    MessagePolicy(caps=(MessageCap(most=1, within_days=7),)),
    AT + timedelta(days=30),
    {"old": "offer_unavailable"},
)
WORST = MessageFacts(
    consent=ConsentAnswer(is_granted=False),
    contact="e_1",
    is_suppressed=True,
    has_message=True,
    is_topic_withdrawn=True,
    is_holdout=True,
    is_planned=False,
    zone=ZoneInfo("UTC"),
    sent_times=(AT - timedelta(days=1),),
    offer="old",
    cost_cents=500.0,
)
REMEDIES = (
    ("no_consent", {"consent": ConsentAnswer(is_granted=True)}),
    ("suppressed", {"is_suppressed": False}),
    ("topic_withdrawn", {"is_topic_withdrawn": False}),
    ("holdout", {"is_holdout": False}),
    ("not_planned", {"is_planned": True}),
    ("same_address", {"has_message": False}),
    ("quiet_hours", {"zone": ZoneInfo("America/New_York")}),
    ("capped", {"sent_times": ()}),
    ("over_budget", {"cost_cents": 0.0}),
    ("offer_unavailable", {"offer": ""}),
)


def test_the_checks_come_in_their_one_order():
    facts, allowance = WORST, Allowance(100.0)
    for reason, remedy in REMEDIES:
        assert check(facts, RULES, allowance, AT).reason == reason
        assert reason in MESSAGE_REASONS
        facts = replace(facts, **remedy)
    assert check(facts, RULES, allowance, AT) == SEND


def test_what_would_be_put_off_beyond_the_end_is_skipped():
    facts = replace(WORST, **{name: value for _, remedy in REMEDIES[:6] for name, value in remedy.items()})
    later = check(facts, RULES, Allowance(1e6), AT)
    assert later == Verdict("quiet_hours", AT + timedelta(hours=10))
    early = replace(RULES, end=AT + timedelta(hours=10))
    assert check(facts, early, Allowance(1e6), AT) == Verdict("quiet_hours")


def test_an_allowance_shrinks_with_what_passes():
    facts = replace(WORST, offer="ten", cost_cents=40.0)
    allowance = Allowance(100.0, {"ten": 2.0})
    allowance.use(facts)
    assert (allowance.budget_cents, allowance.stock) == (60.0, {"ten": 1.0})
