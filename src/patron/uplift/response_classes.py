"""Who answers offers: latent classes of customers, found from orders, messages opened and codes used (finite mixture).

A customer of class c orders a Poisson number of times in the window after an offer o, with mean

    factor_co x orders expected without an offer + added_co

opens a beta-binomial number of messages around opened_c, and uses the code of an offer in a share redeemed_c of the
orders placed while it is valid. Expectation maximisation (Dempster, Laird and Rubin, 1977) finds the classes, and how
likely each customer is to be in each; latent classes of response are those of Kamakura and Russell (1989). Orders alone
say little of one customer, as most order rarely; what they open and redeem says who is alike, and the orders of those
who are alike say what an offer changes. So classes carry over as far as answering offers goes with opening messages.

Effects are as honest as the decisions: what was not drawn by lot is right only as far as the expected orders are.

Cost: rounds x (decisions with an offer + customers) x classes; memory: decisions x classes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaln

from patron.schema.errors import BadTrial
from patron.schema.numbers import Numbers

Codes = npt.NDArray[np.int64]
ROUNDS, MIN_GAIN = 200, 1e-3
"""Of expectation maximisation: at most so many, and until the logarithm of the likelihood gains less."""
PRIOR_DECISIONS = 20.0
"""Decisions that every class is taken to have seen change nothing, of each offer."""
PRIOR_SHARES = 2.0
"""Messages, and orders, that every class is taken to have answered as all do."""
OPENED_CONCENTRATION = 12.0
"""How alike the customers of a class open messages: as if each had shown so many before."""
SMALLEST = 0.02
"""No class redeems less, or more than 1 less this: a single order must not decide."""
MIN_EXPECTED = 1e-3
"""Orders that are expected of everybody at least."""


@dataclass(frozen=True, eq=False)
class ResponseHistory:
    """What followed offers and messages: one row per decision, and one number per customer."""

    customer: Codes
    """Number of each decision's customer, from 0."""
    offer: Codes
    """Number of the offer of each decision, or -1 for none."""
    order_count: Numbers
    """Orders in the window after each decision."""
    expected_orders: Numbers
    """Orders that were expected in it without an offer."""
    sent: Numbers
    """Messages that each customer was sent."""
    opened: Numbers
    """How many of them were opened."""
    offered_orders: Numbers
    """Orders of each customer that could have used the code of an offer."""
    redeemed: Numbers
    """How many of them did."""

    def check(self) -> None:
        """Raise BadTrial for columns of other lengths, missing or negative counts, and parts above their whole."""
        for names in (
            ("customer", "offer", "order_count", "expected_orders"),
            ("sent", "opened", "offered_orders", "redeemed"),
        ):
            lengths = {name: len(getattr(self, name)) for name in names}
            if len(set(lengths.values())) > 1:
                raise BadTrial(f"columns have different lengths: {lengths}", where="history", todo="Pass whole rows.")
        for name in ("order_count", "expected_orders", "sent", "opened", "offered_orders", "redeemed"):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            if not (np.isfinite(values) & (values >= 0)).all():
                raise BadTrial("values are missing or below 0", where=name, todo="Pass counts.")
        for part, whole in (("opened", "sent"), ("redeemed", "offered_orders")):
            if (np.asarray(getattr(self, part)) > np.asarray(getattr(self, whole))).any():
                raise BadTrial(f"more than {whole}", where=part, todo="Count both in the same time.")
        if len(self.customer) and not 0 <= self.customer.min() <= self.customer.max() < len(self.sent):
            raise BadTrial("not the number of a customer", where="customer", todo="Number them from 0.")


@dataclass(frozen=True, eq=False)
class FittedResponseClasses:
    """Classes of customers, who adds most orders first; rows of `membership` are customers."""

    membership: Numbers
    """Customers x classes: how likely each is to be in each; rows add up to 1."""
    share: Numbers
    """Of all customers, by class."""
    factor: Numbers
    """Classes x offers: what an offer multiplies expected orders by."""
    added: Numbers
    """Classes x offers: orders in the window that an offer adds, whatever is expected."""
    opened: Numbers
    """Share of messages opened, by class."""
    redeemed: Numbers
    """Share of orders with a valid offer that use its code, by class."""

    def added_orders(self, expected_orders: Any) -> Numbers:
        """Customers x offers: orders that an offer adds to those expected in the window without one."""
        expected = np.asarray(expected_orders, dtype=np.float64)[:, None]
        return expected * (self.membership @ (self.factor - 1)) + self.membership @ self.added

    def redeemed_orders(self, expected_orders: Any) -> Numbers:
        """Customers x offers: orders in the window after an offer that use its code."""
        expected = np.asarray(expected_orders, dtype=np.float64)[:, None]
        by_class = self.membership * self.redeemed
        return expected * (by_class @ self.factor) + by_class @ self.added


@dataclass(frozen=True)
class ResponseClasses:
    """Latent classes of how customers answer offers."""

    classes: int = 2
    """How many; more than two were no better on simulated shops, whose customers are of four kinds."""

    def fit(self, history: ResponseHistory) -> FittedResponseClasses:
        """Find the classes. Raises BadTrial for a bad history, and for one without an offer."""
        history.check()
        if not (history.offer >= 0).any():
            raise BadTrial("no decision has an offer", where="history", todo="Pass decisions with an offer.")
        offered = _Offered.of(history)
        found = self._beginning(offered)
        membership, likelihood = found.membership(offered)
        for _ in range(ROUNDS):
            found, before = found.improved(offered, membership), likelihood
            membership, likelihood = found.membership(offered)
            if likelihood - before < MIN_GAIN:
                break
        order = np.argsort(-found.added.sum(axis=1), kind="stable")
        return FittedResponseClasses(
            membership[:, order], *(getattr(found, name)[order] for name in _Classes.__dataclass_fields__)
        )

    def _beginning(self, offered: "_Offered") -> "_Classes":
        """Classes that differ by what they open and redeem, the first most."""
        spread = np.linspace(1.4, 0.6, self.classes) if self.classes > 1 else np.ones(1)
        shape = (self.classes, offered.offers)
        shares = [
            np.clip(spread * mean, SMALLEST, 1 - SMALLEST) for mean in (offered.opened_mean, offered.redeemed_mean)
        ]
        return _Classes(
            np.full(self.classes, 1 / self.classes),
            np.ones(shape),
            np.tile(0.05 * spread[:, None], offered.offers),
            *shares,
        )


@dataclass(frozen=True, eq=False)
class _Offered:
    """Decisions with an offer, and the counts of customers."""

    history: ResponseHistory
    customer: Codes
    offer: Codes
    orders: Numbers
    expected: Numbers

    @classmethod
    def of(cls, history: ResponseHistory) -> "_Offered":
        """Decisions without an offer say what is expected, and nothing of classes."""
        rows = np.flatnonzero(history.offer >= 0)
        expected = np.maximum(history.expected_orders[rows], MIN_EXPECTED)
        return cls(history, history.customer[rows], history.offer[rows], history.order_count[rows], expected)

    @property
    def offers(self) -> int:
        return int(self.offer.max()) + 1

    @property
    def opened_mean(self) -> float:
        return (self.history.opened.sum() + 1) / (self.history.sent.sum() + 2)

    @property
    def redeemed_mean(self) -> float:
        return (self.history.redeemed.sum() + 1) / (self.history.offered_orders.sum() + 2)

    def sums(self, values: Numbers) -> Numbers:
        """Of each offer: classes x offers."""
        sums = [np.bincount(self.offer, row, minlength=self.offers) for row in values]
        return np.stack(sums).astype(np.float64)


@dataclass(frozen=True, eq=False)
class _Classes:
    """Parameters of the classes."""

    share: Numbers
    factor: Numbers
    added: Numbers
    opened: Numbers
    redeemed: Numbers

    def mean_orders(self, offered: _Offered) -> Numbers:
        """Classes x decisions with an offer: orders expected in the window."""
        return offered.expected * self.factor[:, offered.offer] + self.added[:, offered.offer]

    def membership(self, offered: _Offered) -> tuple[Numbers, float]:
        """Customers x classes: how likely each is to be in each; and the logarithm of the likelihood."""
        logarithms = self.logarithms(offered)
        most = logarithms.max(axis=0)
        odds = np.exp(logarithms - most)
        sums = odds.sum(axis=0)
        return (odds / sums).T, float((most + np.log(sums)).sum())

    def logarithms(self, offered: _Offered) -> Numbers:
        """Classes x customers: logarithm of the probability of a class and of what its customer did."""
        history = offered.history
        mean = self.mean_orders(offered)
        of_orders = offered.orders * np.log(mean) - mean
        opens, shuts = OPENED_CONCENTRATION * self.opened[:, None], OPENED_CONCENTRATION * (1 - self.opened[:, None])
        return (
            np.log(self.share)[:, None]
            + np.stack([np.bincount(offered.customer, one, minlength=len(history.sent)) for one in of_orders])
            + betaln(history.opened + opens, history.sent - history.opened + shuts)
            - betaln(opens, shuts)
            + history.redeemed * np.log(self.redeemed[:, None])
            + (history.offered_orders - history.redeemed) * np.log1p(-self.redeemed[:, None])
        )

    def improved(self, offered: _Offered, membership: Numbers) -> "_Classes":
        """More likely parameters: orders after an offer are shared among what was expected and what it added."""
        history = offered.history
        weight = membership[offered.customer].T
        expected = offered.expected * self.factor[:, offered.offer] / self.mean_orders(offered) * offered.orders
        of_weight = offered.sums(weight)
        usual = PRIOR_DECISIONS * offered.expected.mean()
        factor = (offered.sums(weight * expected) + usual) / (offered.sums(weight * offered.expected) + usual)
        added = offered.sums(weight * (offered.orders - expected)) / (of_weight + PRIOR_DECISIONS)
        opened, redeemed = (
            (membership.T @ part + PRIOR_SHARES * mean) / (membership.T @ whole + PRIOR_SHARES)
            for part, whole, mean in (
                (history.opened, history.sent, offered.opened_mean),
                (history.redeemed, history.offered_orders, offered.redeemed_mean),
            )
        )
        size = membership.sum(axis=0)
        return _Classes(
            (size + 1) / (size.sum() + len(size)),
            factor,
            added,
            np.clip(opened, SMALLEST, 1 - SMALLEST),
            np.clip(redeemed, SMALLEST, 1 - SMALLEST),
        )
