"""What was not sent does not count: a run's offers from the decision to cap, stock, budget, timeline and effect."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from patron import decide, engage, measure
from patron.answers.customers.customer_timeline import timeline_page
from patron.commands.offers.confirm_offers import confirm_offers
from patron.commands.offers.withdraw_offers import withdraw_offers
from patron.engage.outbox_offers import SENT
from patron.engage.run_delivery import OutboxSummary
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault
from patron.measure.decision_outcomes import offering_runs_query
from patron.offer_delivery import reserve_offers, settle_deliveries
from patron.run import clear_offers, require_open, stage_view
from patron.schema.errors import WorkspaceError
from patron.schema.tables import BY_NAME, DECISIONS, EXPOSURES
from patron.storage.offers.budget_period import budget_period
from patron.storage.offers.deliveries import DeliveryState, delivery_of
from patron.storage.offers.offer_usage import issued_offers, offered, spent_cents
from patron.storage.runs.runs import Run
from patron.storage.safe_csv import write_csv
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS

YEARS = count(2001)
"""Every example plays in a year of its own."""
PLACES = (0, 1, 2)
"""The runs, a day after each other; each offers TEN to a customer of its own and to `ann`."""
COST_CENTS = 150.0
RESERVED, CONFIRMED, EXPIRED, WITHDRAWN = (
    DeliveryState(name) for name in ("reserved", "confirmed", "expired", "withdrawn")
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shop = Shop.create(tmp_path_factory.mktemp("deliveries") / "w")
    people = ["ann", *(f"c{place}" for place in PLACES)]
    at = datetime(2000, 1, 1, tzinfo=UTC)
    tokens = Vault.open(shop).store_tokens("user_id", pa.array(people), at).to_pylist()
    rows = [
        {"token": token, "customer_id": person, "is_user": True, "known_at": at}
        for token, person in zip(tokens, people, strict=True)
    ]
    identities = BY_NAME["identities"]
    shop.lake.replace(identities, pa.Table.from_pylist(rows, schema=identities.schema()))
    yield shop
    shop.close()


class Month:
    """The runs of one month, and what is known of their offers by a model."""

    def __init__(self, shop):
        self.shop = shop
        self.first = datetime(next(YEARS), 1, 1, tzinfo=UTC)
        self.now = self.first + timedelta(days=3)
        self.states = {}

    def run_at(self, place):
        return Run.at(self.first + timedelta(days=place))

    def folder(self, place):
        return self.shop.folder / "outbox" / self.run_at(place).run_id

    def hand_over(self, place):
        """Decide and hand over; a run whose offers were sent or withdrawn does not decide again."""
        run = self.run_at(place)
        try:
            require_open(self.shop, run)
        except WorkspaceError:
            assert self.states[place] in (CONFIRMED, WITHDRAWN)
            return
        clear_offers(self.shop, run)
        same = {"run_id": run.run_id, "action": "TEN"}
        rows = [same | {"customer_id": who, "decision_id": f"{run.run_id}-{who}"} for who in ("ann", f"c{place}")]
        decided = {"as_of": run.as_of, "effect_cents": 0.0, "expected_net_value_cents": 0.0, "cost_cents": COST_CENTS}
        decided |= {"propensity": 1.0, "reason": "best_net_value", "stratum": "all", "effect_source": "assumed"}
        decided |= {"policy_version": "p", "is_holdout": False, "consent_basis": "consent"}
        exposed = {"channel": "file", "exposed_at": run.as_of, "is_delivered": False}
        for stage, table, more in ((decide, DECISIONS, decided), (engage, EXPOSURES, exposed)):
            written = pa.Table.from_pylist([row | more for row in rows], schema=table.schema())
            stage_view(self.shop, stage, run=run).write(table.name, written)
        write_csv(self.folder(place) / "offers_file.csv", ["user_id"], [])
        files = {"outbox": {"offers_file.csv": "0"}, "policy": {"offers.0.id": "TEN", "offers.0.valid_days": 14}}
        row = {"run_id": run.run_id, "as_of": run.as_of, "finished_at": self.now, "seconds": 0.0, "seed": 0}
        row |= {"policy_version": "p", "table_versions": {}, "summary": {"files": files}}
        outbox = OutboxSummary(2, 0, 0, refused_count=0, files=("outbox/offers_file.csv",))
        with self.shop.store.begin() as connection:
            connection.execute(sa.delete(RUNS).where(RUNS.c.run_id == run.run_id))
            connection.execute(sa.insert(RUNS).values(row))
            reserve_offers(connection, run.run_id, self.shop.policy.channel, outbox=outbox, at=self.now)
        self.states[place] = RESERVED

    def confirm(self, place):
        self._expect_change(place, RESERVED, CONFIRMED, lambda: confirm_offers(self.context, self.run_at(place).run_id))

    def withdraw(self, place):
        run_id = self.run_at(place).run_id
        self._expect_change(
            place, RESERVED, WITHDRAWN, lambda: withdraw_offers(self.shop, run_id, name="Ann", now=self.now)
        )

    def take(self, place):
        """Somebody takes the file and sends it: without a receipt it counts as sent all the same."""
        for file in self.folder(place).glob("offers_*.csv"):
            file.unlink()
        self.settle(place, taken=True)

    def send(self, place):
        """The mail system takes the file and leaves a receipt."""
        if any(self.folder(place).glob("offers_*.csv")):
            (self.folder(place) / SENT).touch()
        self.settle(place, taken=True)

    def wait(self, place):
        """Nobody confirms for more days than a reservation lasts."""
        self.now += timedelta(days=8)
        self.settle(place)

    def settle(self, place, *, taken=False):
        settle_deliveries(self.shop, now=self.now)
        if taken and self.states.get(place) is RESERVED:
            self.states[place] = CONFIRMED
        for other, state in self.states.items():
            known = delivery_of(self.shop.store, self.run_at(other).run_id)
            if state is RESERVED and known.reserved_until <= self.now:
                self.states[other] = EXPIRED

    @property
    def context(self):
        return RequestContext.from_name(self.shop, "Ann", now=self.now)

    def _expect_change(self, place, before, after, change):
        try:
            change()
        except WorkspaceError:
            assert self.states.get(place) is not before
        else:
            assert self.states[place] in (before, after)
            self.states[place] = after

    def check(self):
        """Caps, stock and budget count what may have been sent; all else only what was."""
        holding = [place for place, state in self.states.items() if state in (RESERVED, CONFIRMED)]
        sent = [place for place, state in self.states.items() if state is CONFIRMED]
        later = Run.at(self.first + timedelta(days=27))
        known = {place: delivery_of(self.shop.store, self.run_at(place).run_id).state for place in self.states}
        assert known == self.states
        expected = Counter({f"c{place}": 1 for place in holding}) | Counter({"ann": len(holding)})
        for reader, store in (
            ((view := stage_view(self.shop, decide, run=later)), view.declared_store),
            (self.shop.newest_snapshot(), self.shop.store),
        ):
            period = budget_period(later.as_of, "month", "UTC")
            assert spent_cents(reader, store, period) == 2 * COST_CENTS * len(holding)
            assert issued_offers(reader, store, period)["TEN"] == 2 * len(holding)
            had = offered(reader, store, self.first - timedelta(days=1), self.first + timedelta(days=80))
            assert {row["customer_id"]: row["offer_count"] for row in had.to_pylist()} == +expected
        snapshot, year = self.shop.newest_snapshot(), str(self.first.year)
        shown = [entry for entry in timeline_page(snapshot, "ann").entries if entry.kind == "offer"]
        assert sum(entry.occurred_at.year == self.first.year for entry in shown) == len(sent)
        rows = stage_view(self.shop, measure, run=later).query(offering_runs_query(later.as_of)).to_pylist()
        of_sent = {self.run_at(place).run_id for place in sent}
        assert {row["run_id"] for row in rows if row["is_delivered"] and row["run_id"][:4] == year} == of_sent
        events = snapshot.query("select decision_id from events where name = 'Offer Assigned'") if sent else None
        told = {name[:10] for name in events["decision_id"].to_pylist() if name[:4] == year} if events else set()
        assert told == of_sent


ACTIONS = st.tuples(
    st.sampled_from(["hand_over", "hand_over", "confirm", "withdraw", "take", "send", "wait"]), st.sampled_from(PLACES)
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ACTIONS, min_size=3, max_size=8))
@example([("hand_over", 0), ("confirm", 0), ("confirm", 0), ("withdraw", 0), ("hand_over", 0), ("wait", 0)])
@example([("hand_over", 0), ("withdraw", 0), ("confirm", 0), ("hand_over", 0)])
@example([("hand_over", 0), ("wait", 0), ("confirm", 0), ("withdraw", 0), ("hand_over", 0), ("take", 0)])
@example([("hand_over", 0), ("hand_over", 1), ("hand_over", 2), ("send", 0), ("withdraw", 1), ("wait", 2)])
def test_offers_count_by_what_became_of_them(shop, actions):
    month = Month(shop)
    try:
        for name, place in actions:
            if name != "hand_over" and place not in month.states:
                continue
            getattr(month, name)(place)
            month.check()
    finally:
        clear(month)


def clear(month):
    """Leave nothing reserved to the next example, whose clock is a year later."""
    month.now += timedelta(days=30)
    month.settle(0)
