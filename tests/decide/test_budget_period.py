"""What the runs of a period spend together, whatever happens to them."""

from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from patron import decide
from patron.commands.offers.withdraw_offers import withdraw_offers
from patron.commands.outreach.messages.mailing import period_allowance
from patron.decide.budget_period import remaining
from patron.decide.decision_rows import decision_rows
from patron.decide.evidence import Evidence
from patron.decide.selection import select_offers
from patron.engage.outbox_offers import SENT, has_offers, is_sent
from patron.run import clear_offers, require_open, stage_view
from patron.schema.errors import NotFound, WorkspaceError
from patron.schema.table_definition import conform
from patron.schema.tables import DECISIONS
from patron.storage.offers.budget_period import budget_period
from patron.storage.offers.deliveries import Delivery, DeliveryState, write_delivery
from patron.storage.runs.runs import Run
from patron.storage.safe_csv import write_csv
from patron.storage.shop import Shop

YEARS = count(2001)
"""Every example plays in a year of its own."""
DAYS = (0, 3, 4, 30, 36)
"""Cutoffs of the runs, days after January 1st: three in January, two in February."""


@pytest.fixture(scope="module")
def empty_shop(tmp_path_factory):
    shop = Shop.create(tmp_path_factory.mktemp("budget") / "w")
    yield shop
    shop.close()


@pytest.mark.parametrize(
    ("period", "since", "until"),
    [
        ("day", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("week", "2026-03-22T23:00", "2026-03-29T22:00"),
        ("month", "2026-02-28T23:00", "2026-03-31T22:00"),
        ("quarter", "2025-12-31T23:00", "2026-03-31T22:00"),
        ("year", "2025-12-31T23:00", "2026-12-31T23:00"),
    ],
)
def test_a_period_is_that_of_the_shops_clock_also_when_it_changes_to_summer_time(period, since, until):
    at = datetime(2026, 3, 29, 12, tzinfo=UTC)
    found = budget_period(at, period, "Europe/Berlin")
    assert [found.since, found.until] == [datetime.fromisoformat(f"{text}+00:00") for text in (since, until)]
    assert budget_period(found.since, period, "Europe/Berlin") == found
    assert budget_period(found.until, period, "Europe/Berlin").since == found.until


class Year:
    """The runs of one year, down to their decisions and files."""

    def __init__(self, shop, policy, draw):
        self.shop, self.policy, self.draw = shop, policy, draw
        self.first = datetime(next(YEARS), 1, 1, tzinfo=UTC)
        self.amount = 30.0
        self.in_file: dict[str, float] = {}
        """Expected cost of the offers in the last file of each run."""

    def run(self, place, kill):
        """Decide and fill the outbox, or be killed before or after the decisions."""
        run = Run.at(self.first + timedelta(days=DAYS[place]))
        try:
            require_open(self.shop, run)
        except WorkspaceError:
            assert is_sent(self.folder(run)) or not has_offers(self.folder(run))
            return
        self.shop.policy = self.policy(budget={"amount": self.amount}, exploration={"share": 0.3})
        clear_offers(self.shop, run)
        if kill == "early":
            return
        view = stage_view(self.shop, decide, run=run)
        rows = self.draw(30, seed=place + int(self.amount))
        nobody, left = np.zeros(30, bool), remaining(view)
        choice = select_offers(
            rows,
            nobody,
            self.shop.policy,
            Evidence({}, 0.45),
            budget_cents=left.budget_cents,
            regret_cents=left.regret_cents,
            rng=np.random.default_rng(place),
        )
        decisions = decision_rows(view, rows["customer_id"].to_pylist(), nobody, choice, ["consent"] * 30)
        view.write("decisions", conform(DECISIONS, decisions))
        if kill != "late":
            write_csv(self.folder(run) / "offers_file.csv", ["user_id"], [])
            offered = choice.action >= 0
            self.in_file[run.run_id] = float(choice.expected.cost[offered, choice.action[offered]].sum())

    def folder(self, run):
        return self.shop.folder / "outbox" / run.run_id

    def withdraw(self, place, _kill):
        run = Run.at(self.first + timedelta(days=DAYS[place]))
        try:
            withdraw_offers(self.shop, run.run_id, name="Ann", now=run.as_of)
        except NotFound:
            return
        except WorkspaceError:
            assert is_sent(self.folder(run)) or not has_offers(self.folder(run))
            return
        assert not has_offers(self.folder(run))

    def send(self, place, _kill):
        """The mail system takes a run's file, if there is one."""
        run = Run.at(self.first + timedelta(days=DAYS[place]))
        if any(self.folder(run).glob("offers_*.csv")):
            (self.folder(run) / SENT).touch()

    def lower(self, place, _kill):
        self.amount = round(self.amount * (0.3 + 0.1 * place), 2)

    def spent(self, month):
        """Expected cost of the offers of a month that were sent or can be."""
        files = {run: any((self.shop.folder / "outbox" / run).glob("offers_*.csv")) for run in self.in_file}
        return sum(cost for run, cost in self.in_file.items() if files[run] and int(run[5:7]) == month)


ACTIONS = st.tuples(
    st.sampled_from(["run", "run", "run", "withdraw", "send", "lower"]),
    st.integers(0, len(DAYS) - 1),
    st.sampled_from(["", "", "early", "late"]),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ACTIONS, min_size=3, max_size=9))
@example([("run", 0, ""), ("run", 1, "late"), ("run", 2, ""), ("run", 1, ""), ("run", 0, ""), ("run", 3, "")])
@example([("run", 0, ""), ("lower", 0, ""), ("run", 0, "late"), ("run", 1, "")])
@example([("run", 2, ""), ("withdraw", 2, ""), ("run", 2, ""), ("run", 0, ""), ("lower", 0, ""), ("run", 1, "")])
@example([("run", 0, ""), ("send", 0, ""), ("lower", 1, ""), ("run", 0, ""), ("withdraw", 0, ""), ("run", 1, "")])
def test_spend_stays_within_the_budget_of_the_period(empty_shop, policy, candidates, actions):
    year = Year(empty_shop, policy, candidates)
    for name, place, kill in actions:
        before = {month: year.spent(month) for month in (1, 2)}
        getattr(year, name)(place, kill)
        for month in (1, 2):
            assert year.spent(month) <= max(year.amount * 100, before[month]) + 1e-6


def test_another_run_gets_what_is_left_and_all_of_it_once_the_first_is_withdrawn(empty_shop, policy, candidates):
    year = Year(empty_shop, policy, candidates)
    year.run(0, "")
    first = Run.at(year.first)
    later = Run.at(year.first + timedelta(days=1))

    def left(run):
        return remaining(stage_view(empty_shop, decide, run=run))

    spent = year.in_file[first.run_id]
    assert 1_000 < spent <= 3_000
    assert left(later).budget_cents == pytest.approx(3_000 - spent)
    assert left(later).spent_cents == pytest.approx(spent)
    assert left(first).budget_cents == 3_000
    assert left(Run.at(year.first + timedelta(days=31))).budget_cents == 3_000
    withdraw_offers(empty_shop, first.run_id, name="Ann", now=later.as_of)
    assert left(later).budget_cents == 3_000


def test_a_run_that_ended_while_sending_was_held_spends_nothing_until_it_is_repeated(empty_shop, policy, candidates):
    year = Year(empty_shop, policy, candidates)
    year.run(0, "")
    first, later = Run.at(year.first), Run.at(year.first + timedelta(days=1))
    (year.folder(first) / "offers_file.csv").unlink()
    with empty_shop.store.begin() as connection:
        write_delivery(connection, Delivery(first.run_id, DeliveryState.HELD, changed_at=first.as_of))

    def left_cents():
        return (
            remaining(stage_view(empty_shop, decide, run=later)).budget_cents,
            period_allowance(empty_shop, later.as_of, 3_000.0).budget_cents,
        )

    assert left_cents() == (3_000, 3_000)
    assert remaining(stage_view(empty_shop, decide, run=first)).budget_cents == 3_000
    year.run(0, "late")
    spent = 3_000 - left_cents()[0]
    assert spent > 1_000, "who repeats it may hand it over"
    assert left_cents() == pytest.approx((3_000 - spent, 3_000 - spent))
