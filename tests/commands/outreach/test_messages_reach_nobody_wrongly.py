"""Over random rules, clocks, zones, answers and kills: nobody is sent what they must not be, or anything twice."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.shops.campaign_shop import AT, Person, add_people, approve, customer_of, messages

from patron.commands.outreach.messages.send_campaign import send_campaign
from patron.engage.channels.channel import Handover, Outcome
from patron.govern.access.request_context import RequestContext
from patron.govern.outreach.suppression_list import suppress
from patron.govern.privacy.consent_ledger import Consent, event_hash, iso_time, write_consents
from patron.govern.vault import Vault
from patron.schema.errors import ChannelUnavailable
from patron.storage.offers.policy import Policy
from patron.storage.outreach.campaign_file import CAMPAIGN
from patron.storage.outreach.campaign_tables import MESSAGES, SUPPRESSIONS
from patron.storage.outreach.message_policy import QuietHours
from patron.storage.shop import Shop

ZONES = ("", "Asia/Tokyo", "America/New_York", "Pacific/Kiritimati", "America/St_Johns", "Asia/Kathmandu")
HOURS = ("21:00-08:00", "12:00-13:30", "00:00-06:00", "22:30-24:00")
PEOPLE = [Person(f"h{n:02d}", consent=None, zone=ZONES[n % len(ZONES)], has_address=n != 7) for n in range(18)]
PURPOSES = ("marketing", "offers", "offers/file")
DAYS = 12
FINAL = {"sent", "unknown", "failed", "skipped"}


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


@dataclass
class World:
    """What is true, and what reached whom."""

    shop: object
    now: datetime = AT
    answers: dict = field(default_factory=dict)
    suppressed: set = field(default_factory=set)
    reached: list = field(default_factory=list)
    killed_at: int | None = None
    """Transaction begun or committed at which the process is killed."""
    moments: int = 0
    answer_count: int = 0

    def moment(self, _connection):
        self.moments += 1
        if self.killed_at is not None and self.moments >= self.killed_at:
            raise Killed

    def answer(self, person, purpose, *, is_granted):
        self.answer_count += 1
        event = event_hash("test", f"{self.answer_count}/{person.name}/{purpose}/{self.now}")
        token = Vault.open(self.shop).token("user_id", person.name)
        parts = (event, token, purpose, is_granted, "consent", None, None, None, None, None)
        at = iso_time(AT - timedelta(days=9) + timedelta(seconds=self.answer_count))
        write_consents(self.shop.store, [Consent(*parts, at, at)])
        self.answers[person, purpose] = is_granted


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("messages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        shop = Shop.create(folder / "w")
        add_people(shop, PEOPLE)
        world = World(shop)
        for name in ("begin", "commit"):
            sa.event.listen(shop.store.engine, name, world.moment)
        yield world
        shop.close()


class WatchingChannel:
    """Holds every rule against the truth at the moment a message is taken."""

    name = "file"

    def __init__(self, world, campaign, people, outcomes):
        self.world, self.campaign, self.outcomes = world, campaign, outcomes
        self.people = {person.address: person for person in people}
        self.count = 0

    async def hand_over(self, handed):
        for message in handed:
            self.count += 1
            outcome = self.outcomes[self.count % len(self.outcomes)]
            if outcome == "gone":
                raise ChannelUnavailable("the provider is gone")
            if outcome == "killed before":
                self.world.killed_at = 0
                raise Killed
            if outcome in {Outcome.SENT, Outcome.UNKNOWN, "killed after"}:
                self.take(message)
            if outcome == "killed after":
                self.world.killed_at = 0
                raise Killed
            yield Handover(message.message_id, outcome)

    def take(self, message):
        world, person = self.world, self.people[message.recipient]
        policy, now = world.shop.policy, world.now
        answer = world.answers.get((person, "marketing"))
        assert policy.consent.allows(is_granted=answer), "without consent"
        assert person not in world.suppressed, "suppressed"
        for topic in ("offers", "offers/file"):
            assert world.answers.get((person, topic)) is not False, "topic withdrawn"
        assert not person.is_holdout
        assert person.is_planned
        clock = now.astimezone(ZoneInfo(person.zone or "UTC")).time()
        assert not any(QuietHours.of(hour).holds(clock) for hour in policy.messages.quiet_hours), "quiet hours"
        for cap in policy.messages.caps:
            lately = [
                at for who, _, at in world.reached if who == person.name and now - at < timedelta(cap.within_days)
            ]
            assert len(lately) < cap.most, "capped"
        assert (person.name, self.campaign) not in {(who, what) for who, what, _ in world.reached}, "twice"
        assert now < CAMPAIGN.saved_in(world.shop.store, self.campaign).content.end_at(ZoneInfo("UTC"))
        world.reached.append((person.name, self.campaign, now))


OUTCOMES = st.lists(
    st.sampled_from([Outcome.SENT] * 8 + [*Outcome, "gone", "killed before", "killed after"]), min_size=3, max_size=23
)
PLACES = st.integers(0, len(PEOPLE) - 1)
CAPS = st.fixed_dictionaries({"most": st.integers(1, 3), "within_days": st.integers(1, 9)})
ROUNDS = st.lists(
    st.fixed_dictionaries(
        {
            "hours": st.integers(0, 40),
            "outcomes": OUTCOMES,
            "killed_at": st.none() | st.integers(1, 40),
            "answers": st.lists(st.tuples(PLACES, st.sampled_from(PURPOSES), st.booleans()), max_size=4),
            "suppressed": st.sets(PLACES, max_size=2),
        }
    ),
    min_size=2,
    max_size=3,
)
POLICIES = st.fixed_dictionaries(
    {
        "quiet_hours": st.sets(st.sampled_from(HOURS), max_size=2).map(sorted),
        "caps": st.lists(
            st.fixed_dictionaries({"most": st.integers(1, 3), "within_days": st.integers(1, 9)}), max_size=2
        ),
    }
)
SHARES = st.lists(
    st.sampled_from(["sent", "sent", "sent", "holdout", "not planned", "later"]), min_size=18, max_size=18
)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    POLICIES, st.sampled_from(["allow", "refuse"]), SHARES, st.lists(st.booleans(), min_size=18, max_size=18), ROUNDS
)
def test_whoever_must_not_be_sent_a_message_never_is_and_nobody_is_lost(
    world, messages_policy, unknown, shares, yes, rounds
):
    people = begin(world, messages_policy, unknown, shares, yes)
    for number, one in enumerate(rounds):
        world.now += timedelta(hours=one["hours"])
        for place, purpose, is_granted in one["answers"]:
            world.answer(people[place], purpose, is_granted=is_granted)
        for place in one["suppressed"]:
            suppress_(world, people[place])
        for campaign in ("one", "two"):
            if CAMPAIGN.saved_in(world.shop.store, campaign).state == "ended":
                continue
            world.moments, world.killed_at = 0, one["killed_at"] if number < len(rounds) - 1 else None
            channel = WatchingChannel(world, campaign, people, one["outcomes"])
            try:
                send_campaign(RequestContext.from_name(world.shop, now=world.now), campaign, channel=channel)
            except (Killed, ChannelUnavailable):
                pass
            finally:
                world.killed_at = None
    for campaign in ("one", "two"):
        for end in (world.now, AT + timedelta(days=DAYS)):
            world.now = end
            if CAMPAIGN.saved_in(world.shop.store, campaign).state != "ended":
                channel = WatchingChannel(world, campaign, people, [Outcome.SENT])
                send_campaign(RequestContext.from_name(world.shop, now=end), campaign, channel=channel)
        nobody_is_lost(world, campaign, people)


def begin(world, rules, unknown, plans, yes):
    """Two campaigns to the same people under a policy, and nothing sent yet."""
    shop = world.shop
    with shop.store.begin() as connection:
        for table in (MESSAGES, SUPPRESSIONS):
            connection.execute(sa.delete(table))
        for name in ("campaigns", "campaign_steps", "assignments"):
            connection.execute(sa.delete(sa.table(name)))
    world.now, world.reached, world.suppressed = AT, [], set()
    shop.policy = Policy.model_validate({"messages": rules, "consent": {"unknown": unknown}})
    later = AT + timedelta(hours=30)
    people = [
        Person(
            one.name,
            consent=None,
            zone=one.zone,
            has_address=one.has_address,
            is_holdout=plan == "holdout",
            is_planned=plan != "not planned",
            send_at=later if plan == "later" else AT,
        )
        for one, plan in zip(PEOPLE, plans, strict=True)
    ]
    world.answers = {}
    for one, is_yes in zip(people, yes, strict=True):
        world.answer(one, "marketing", is_granted=is_yes)
        for topic in ("offers", "offers/file"):
            world.answer(one, topic, is_granted=True)
    for name in ("one", "two"):
        approve(shop, people, name=name, end=f"{AT + timedelta(days=DAYS):%Y-%m-%dT%H:%M:%S}")
    return people


def suppress_(world, person):
    contact = Vault.open(world.shop).token("email", person.address)
    with world.shop.store.begin() as connection:
        suppress(connection, contact, "file", "offers", "complaint", AT)
    world.suppressed.add(person)


def nobody_is_lost(world, campaign, people):
    states = messages(world.shop, campaign)
    reached = {who for who, what, _ in world.reached if what == campaign}
    by_state = defaultdict(set)
    for person in people:
        state, reason = states[customer_of(world.shop, person)]
        by_state[state].add(person.name)
        assert state in FINAL
        assert (reason != "") == (state != "sent")
    assert by_state["sent"] <= reached <= by_state["sent"] | by_state["unknown"]
    assert Counter(who for who, what, _ in world.reached if what == campaign) == Counter(reached)
