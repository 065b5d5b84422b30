"""Whoever must not be sent a message of a journey never is, and every entry ends: random steps, clocks and kills."""

from dataclasses import dataclass, field
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.shops.campaign_shop import AT, Person, add_people, customer_of
from tests.support.shops.journey_shop import approve, entries, happen, journey, send

from patron.commands.outreach.journeys.advance_journeys import advance_journeys
from patron.decide.holdout import HOLDOUT, arm_of
from patron.engage.channels.channel import Handover, Outcome
from patron.govern.privacy.consent_ledger import Consent, event_hash, iso_time, write_consents
from patron.govern.vault import Vault
from patron.schema.errors import ChannelUnavailable
from patron.storage.offers.policy import Policy
from patron.storage.outreach.campaign_tables import JOURNEY_ENTRIES, MESSAGES
from patron.storage.outreach.message_policy import QuietHours
from patron.storage.shop import Shop

ZONES = ("", "Asia/Tokyo", "America/New_York", "Pacific/Kiritimati")
PEOPLE = [Person(f"h{n:02d}", consent=None, zone=ZONES[n % len(ZONES)]) for n in range(10)]
SHARE = 0.3
EVENTS = ("Product Added", "Product Added", "Product Viewed", "Order Completed")


class Killed(BaseException):
    """The process is gone."""


@dataclass
class World:
    """What is true, and what reached whom."""

    shop: object
    now: object = AT
    number: int = 0
    name: str = ""
    answers: dict = field(default_factory=dict)
    reached: list = field(default_factory=list)
    left: int | None = None
    outcomes: list = field(default_factory=list)

    def moment(self, _connection):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed

    def answer(self, person, *, is_granted):
        self.number += 1
        event = event_hash("test", f"{self.number}/{person.name}")
        token = Vault.open(self.shop).token("user_id", person.name)
        at = iso_time(AT - timedelta(days=9) + timedelta(seconds=self.number))
        parts = (event, token, "marketing", is_granted, "consent", None, None, None, None, None)
        write_consents(self.shop.store, [Consent(*parts, at, at)])
        self.answers[person] = is_granted


class WatchingChannel:
    """Holds every rule against the truth at the moment a message is taken."""

    name = "file"

    def __init__(self, world):
        self.world = world
        self.people = {person.address: person for person in PEOPLE}

    async def hand_over(self, handed):
        for message in handed:
            self.world.number += 1
            outcome = self.world.outcomes[self.world.number % len(self.world.outcomes)]
            if outcome == "gone":
                raise ChannelUnavailable("the provider is gone")
            if outcome in {Outcome.SENT, Outcome.UNKNOWN, "killed"}:
                self.take(message)
            if outcome == "killed":
                self.world.left = 0
                raise Killed
            yield Handover(message.message_id, outcome)

    def take(self, message):
        world, person = self.world, self.people[message.recipient]
        assert world.shop.policy.consent.allows(is_granted=world.answers.get(person)), "without consent"
        assert arm_of(world.name, customer_of(world.shop, person), SHARE) != HOLDOUT
        clock = world.now.astimezone(ZoneInfo(person.zone or "UTC")).time()
        assert not any(QuietHours.of(hour).holds(clock) for hour in world.shop.policy.messages.quiet_hours), (
            "quiet hours"
        )
        for cap in world.shop.policy.messages.caps:
            since = world.now - timedelta(cap.within_days)
            assert sum(who == person.name and at > since for who, _, at in world.reached) < cap.most, "capped"
        assert message.message_id not in {one for _, one, _ in world.reached}, "twice"
        world.reached.append((person.name, message.message_id, world.now))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("journeys")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        shop = Shop.create(folder / "w")
        add_people(shop, PEOPLE)
        world = World(shop)
        for name in ("begin", "commit"):
            sa.event.listen(shop.store.engine, name, world.moment)
        yield world
        shop.close()


STEPS = st.lists(
    st.sampled_from(
        [
            {"do": "wait", "hours": 3},
            {"do": "wait_for", "event": "Product Viewed", "hours": 5, "then": "end"},
            send(within_hours=8),
            send(within_hours=40),
        ]
    ),
    min_size=1,
    max_size=4,
).map(lambda steps: [*steps, send()])
OUTCOMES = st.lists(st.sampled_from([Outcome.SENT] * 6 + [*Outcome, "gone", "killed"]), min_size=3, max_size=11)
ROUNDS = st.lists(
    st.fixed_dictionaries(
        {
            "minutes": st.integers(1, 900),
            "events": st.lists(st.tuples(st.integers(0, len(PEOPLE) - 1), st.sampled_from(EVENTS)), max_size=9),
            "answers": st.lists(st.tuples(st.integers(0, len(PEOPLE) - 1), st.booleans()), max_size=2),
            "left": st.none() | st.integers(1, 60),
        }
    ),
    min_size=3,
    max_size=5,
)
POLICIES = st.fixed_dictionaries(
    {
        "quiet_hours": st.sets(st.sampled_from(["21:00-08:00", "12:00-13:30"]), max_size=2).map(sorted),
        "caps": st.lists(
            st.fixed_dictionaries({"most": st.integers(1, 2), "within_days": st.integers(1, 5)}), max_size=1
        ),
    }
)


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(POLICIES, STEPS, ROUNDS, OUTCOMES, st.none() | st.integers(0, 1))
def test_whoever_must_not_be_sent_a_message_never_is_and_every_entry_ends(world, rules, steps, rounds, outcomes, again):
    begin(world, rules, steps, outcomes, again)
    entered = set()
    for round_ in rounds:
        world.now += timedelta(minutes=round_["minutes"])
        for place, is_granted in round_["answers"]:
            world.answer(PEOPLE[place], is_granted=is_granted)
        events = [(PEOPLE[place].name, name, world.now - timedelta(seconds=30)) for place, name in round_["events"]]
        if events:
            happen(world.shop, *events, received_at=world.now)
            entered |= {who for who, name, _ in events if name == "Product Added"}
        advance(world, round_["left"])
    world.outcomes = [Outcome.SENT]
    for _ in range(8):
        world.now += timedelta(hours=41)
        advance(world, None)
        standing = entries(world.shop, world.name)
        if all(one["state"] != "active" for one in standing):
            break
    assert {one["state"] for one in standing} <= {"finished", "left"}
    assert {one["customer_id"] for one in standing} == {customer_of(world.shop, Person(who)) for who in entered}


def begin(world, rules, steps, outcomes, again):
    """A new journey under a policy, and nothing sent yet."""
    world.number += 1
    world.name, world.reached, world.outcomes = f"journey {world.number}", [], outcomes
    with world.shop.store.begin() as connection:
        for table in (MESSAGES, JOURNEY_ENTRIES, sa.table("campaigns"), sa.table("campaign_steps")):
            connection.execute(sa.delete(table))
    world.shop.policy = Policy.model_validate({"messages": rules, "consent": {"unknown": "refuse"}})
    for place, person in enumerate(PEOPLE):
        world.answer(person, is_granted=place % 4 != 3)
    approve(world.shop, journey(steps, name=world.name, holdout_share=SHARE, reenter_after_days=again), world.now)
    advance(world, None)


def advance(world, left):
    world.left = left
    try:
        advance_journeys(world.shop, clock=lambda: world.now, channel=lambda _: WatchingChannel(world))
    except Killed:
        pass
    finally:
        world.left = None
