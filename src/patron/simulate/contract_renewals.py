"""Contracts that some customers sign, and why they do not renew them; nobody signs one in the default shop."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from patron.simulate.event_batches import DAY_US, STEPS, Batch, make_batch
from patron.simulate.population import People
from patron.simulate.random_streams import Draws
from patron.simulate.simulator_settings import SimulatorSettings
from patron.simulate.visits import DAY_SPAN

CAUSES = ("left_shop", "first_renewal", "by_chance")
"""Why a contract is not renewed: the customer has left the shop for good, or knows it for one term only, or neither."""
LEFT_SHOP, FIRST_RENEWAL, BY_CHANCE = range(len(CAUSES))
TERM_DAYS = 30
NOTICE_DAYS = 10
"""From the day on which a customer decides, and may cancel, to the end of the term, days."""
STARTED_STEP, CANCELLED_STEP = 250, 251
HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class ContractTerms:
    """Terms of contracts, one row each; days count from the shop's first day."""

    person: np.ndarray
    term: np.ndarray
    """Number of the term, from 1."""
    start_day: np.ndarray
    notice_day: np.ndarray
    """Day on which the customer decides whether to renew."""
    start_us: np.ndarray
    cause: np.ndarray
    """Index into CAUSES: on what the decision depends."""
    lost_share: np.ndarray
    """Probability that it is not renewed, 0 to 1."""
    is_renewed: np.ndarray
    is_cancelled: np.ndarray

    @property
    def end_us(self) -> np.ndarray:
        """When the term ends, microseconds from the shop's first midnight."""
        return self.start_us + TERM_DAYS * DAY_US

    def rows(self, which: np.ndarray) -> Self:
        """Some of the terms, by position or mask."""
        return type(self)(**{f.name: getattr(self, f.name)[which] for f in fields(self)})


def contract_terms(
    people: People, dropout_day: npt.NDArray[np.int64], until_day: int, shop: SimulatorSettings, draws: Draws
) -> ContractTerms:
    """Terms that begin before a day, of the people who sign a contract before they leave the shop for good.

    What a customer decides depends on that day and earlier ones, never on later offers. Who has left goes on paying
    until a renewal is decided.
    """
    waited = np.floor(shop.until_contract_days * draws.exponential("until contract", people.person)).astype(np.int64)
    first = people.signup_day + 1 + waited
    signs = draws.below("contract", shop.contract_share, people.person) & ~people.is_visitor
    signs &= (first < dropout_day) & (first < until_day)
    row = np.flatnonzero(signs)
    counts = (until_day - 1 - first[row]) // TERM_DAYS + 1
    row = np.repeat(row, counts)
    term = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    person, start = people.person[row], first[row] + TERM_DAYS * (term - 1)
    notice = start + TERM_DAYS - NOTICE_DAYS
    cause = np.where(term == 1, FIRST_RENEWAL, BY_CHANCE)
    cause = np.where(dropout_day[row] <= notice, LEFT_SHOP, cause)
    lost_share = np.array(shop.not_renewed_shares)[cause]
    is_renewed = ~draws.below("not renewed", lost_share, person, term)
    seconds = 28_800 + np.floor(43_200 * draws.uniform("contract hour", person)).astype(np.int64)
    terms = ContractTerms(
        person=person,
        term=term,
        start_day=start,
        notice_day=notice,
        start_us=start * DAY_US + seconds * 1_000_000,
        cause=cause,
        lost_share=lost_share,
        is_renewed=is_renewed,
        is_cancelled=~is_renewed & draws.below("cancels", shop.contract_cancelled_share, person, term),
    )
    return terms.rows(_losses_before(person, is_renewed) == 0)


def contract_events(
    people: People, dropout_day: npt.NDArray[np.int64], days: np.ndarray, shop: SimulatorSettings, draws: Draws
) -> Sequence[Batch]:
    """Contracts that begin, are renewed or cancelled on these days."""
    terms = contract_terms(people, dropout_day, int(days[-1]) + 1, shop, draws)
    starting = terms.rows(terms.start_day >= days[0])
    noticed = (terms.notice_day >= days[0]) & (terms.notice_day <= days[-1])
    cancelled = terms.rows(noticed & terms.is_cancelled)
    return (
        make_batch(
            "Contract Started",
            (starting.person * DAY_SPAN + starting.start_day) * STEPS + STARTED_STEP,
            starting.start_us,
            starting.person,
            contract_end_us=starting.end_us,
            contract_price_cents=np.full(len(starting.person), shop.contract_price_cents),
        ),
        make_batch(
            "Contract Cancelled",
            (cancelled.person * DAY_SPAN + cancelled.notice_day) * STEPS + CANCELLED_STEP,
            cancelled.notice_day * DAY_US + 20 * HOUR_US,
            cancelled.person,
        ),
    )


def _losses_before(person: np.ndarray, is_renewed: np.ndarray) -> npt.NDArray[np.int64]:
    """How many terms of the same person were not renewed before each; rows are in order of person and term."""
    lost = np.concatenate([[0], np.cumsum(~is_renewed)])
    is_first = np.concatenate([[True], person[1:] != person[:-1]]) if len(person) else np.empty(0, bool)
    start = lost[np.maximum.accumulate(np.where(is_first, np.arange(len(person)), 0))]
    return lost[: len(person)] - start
