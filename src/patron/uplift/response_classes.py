"""Who answers offers: latent classes of customers, from their orders, the messages they open and the codes they use.

In the window after an offer o, customers of class c place a Poisson number of orders with mean

    order_factor_co x orders expected without an offer + extra_orders_co

and after a decision for none one with mean usual_factor_c x orders expected: who opens nothing may have left, and an
offer did not do that. The effect of an offer is the difference. Of a window that was cut short, the same part of the
extra orders is meant. Customers open a beta-binomial number of the messages they are sent, and use the code of a
valid offer in a share of their orders. Expectation maximisation (Dempster, Laird and Rubin, 1977) estimates the
classes and each customer's probability of each; latent classes of response are those of Kamakura and Russell (1989).
Most customers order rarely, so their orders alone say little. What they open and redeem says who is alike, and the
orders of those who are alike say what an offer changes. The classes are of use only as far as customers who answer
offers also open messages.

Effects are causal where offers were randomised; elsewhere they are as right as the expected orders.

Cost: rounds x (decisions + customers) x classes; memory: decisions x classes.
"""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, logsumexp

from patron.schema.errors import BadTrial
from patron.schema.numbers import Numbers

Codes = npt.NDArray[np.int64]
MAX_ROUNDS = 200
"""Rounds of expectation maximisation, at most."""
MIN_GAIN = 1e-3
"""It stops when a round raises the log-likelihood by less."""
PRIOR_DECISIONS = 20.0
"""Weight of the prior that an offer changes nothing in a class, as a number of decisions."""
PRIOR_COUNT = 2.0
"""Strength of the prior that a class opens and redeems as all customers do, as a number of messages or orders."""
OPENED_CONCENTRATION = 12.0
"""How alike customers of a class open messages: concentration of their opened shares, as a number of messages."""
MIN_SHARE = 0.02
"""Opened and redeemed shares of a class stay this far from 0 and 1, so that one message or order does not decide."""
MIN_EXPECTED_ORDERS = 1e-3
"""Orders that are expected in a window at least, so that every class can explain one."""
FIRST_EXTRA_ORDERS = 0.05
"""Extra orders of an offer that the first round assumes."""
FIRST_SPREAD = 0.4
"""By what share the classes of the first round differ from all customers, at both ends."""
OF_DECISIONS = ("customer", "offer", "order_count", "expected_orders")
OF_CUSTOMERS = ("sent_count", "opened_count", "offered_order_count", "redeemed_count")


@dataclass(frozen=True, eq=False)
class ResponseHistory:
    """What customers did after decisions about offers, and with messages and codes, as arrays."""

    customer: Codes
    """Number of the customer of each decision, from 0."""
    offer: Codes
    """Number of the offer of each decision, from 0; -1 for none."""
    order_count: Numbers
    """Orders in the window after each decision."""
    expected_orders: Numbers
    """Orders that were expected in that window without an offer."""
    sent_count: Numbers
    """Messages sent to each customer."""
    opened_count: Numbers
    """Messages that each customer opened, of those sent."""
    offered_order_count: Numbers
    """Orders that each customer placed while an offer was valid."""
    redeemed_count: Numbers
    """How many of these orders used the offer's code."""
    window_share: Numbers | None = None
    """Length of each decision's window as a share of the whole one, 0 to 1; None: all are whole."""

    def validate(self) -> None:
        """Raise BadTrial for arrays of different lengths, bad counts and numbers, and a part above its whole."""
        of_decisions = OF_DECISIONS if self.window_share is None else (*OF_DECISIONS, "window_share")
        for names in (of_decisions, OF_CUSTOMERS):
            lengths = {name: len(getattr(self, name)) for name in names}
            if len(set(lengths.values())) > 1:
                written = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
                raise BadTrial(f"arrays have different lengths: {written}", where="history", todo="Pass whole rows.")
        for name in (*of_decisions[2:], *OF_CUSTOMERS):
            values = getattr(self, name)
            if not (np.isfinite(values) & (values >= 0)).all():
                raise BadTrial("values are missing, infinite or below 0", where=name, todo="Pass counts.")
        for part, whole in (("opened_count", "sent_count"), ("redeemed_count", "offered_order_count")):
            if (getattr(self, part) > getattr(self, whole)).any():
                raise BadTrial(f"is above {whole}", where=part, todo="Count both over the same period.")
        if not np.isin(self.customer, np.arange(len(self.sent_count))).all():
            raise BadTrial("not the number of a customer", where="customer", todo="Number customers from 0.")
        if (self.offer < -1).any():
            raise BadTrial("not the number of an offer", where="offer", todo="Number offers from 0; -1 is none.")
        if not (self.offer >= 0).any():
            raise BadTrial("no decision has an offer", where="offer", todo="Pass decisions with an offer.")


@dataclass(frozen=True, eq=False)
class ClassParameters:
    """What customers of each class do; arrays by class, or classes x offers."""

    class_share: Numbers
    """Of all customers, 0 to 1."""
    usual_factor: Numbers
    """What expected orders are multiplied by without an offer."""
    order_factor: Numbers
    """Classes x offers: what they are multiplied by with an offer."""
    extra_orders: Numbers
    """Classes x offers: orders in the window that an offer adds, whatever was expected."""
    opened_share: Numbers
    """Of the messages sent, 0 to 1."""
    redeemed_share: Numbers
    """Of the orders placed while an offer is valid, those that use its code, 0 to 1."""

    @classmethod
    def first(cls, decisions: "_Decisions", classes: int) -> Self:
        """Where estimation starts: classes that open and redeem more or less than all, and order as expected."""
        spread = np.linspace(1 + FIRST_SPREAD, 1 - FIRST_SPREAD, classes) if classes > 1 else np.ones(1)
        shares = (decisions.opened_share, decisions.redeemed_share)
        return cls(
            np.full(classes, 1 / classes),
            np.ones(classes),
            np.ones((classes, decisions.offer_count)),
            np.outer(FIRST_EXTRA_ORDERS * spread, np.ones(decisions.offer_count)),
            *(np.clip(spread * share, MIN_SHARE, 1 - MIN_SHARE) for share in shares),
        )

    def sorted_by_added_orders(self, decisions: "_Decisions") -> "ClassParameters":
        """The same classes, those first to which the offers made add most orders."""
        offered = decisions.offer[decisions.offer < decisions.offer_count]
        changed = self.order_factor - self.usual_factor[:, None]
        added = changed * decisions.expected_orders.mean() + self.extra_orders
        order = np.argsort(-added[:, offered].mean(axis=1), kind="stable")
        return ClassParameters(*(getattr(self, field.name)[order] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class FittedResponseClasses:
    """Classes of customers; the class to which offers add most orders is the first."""

    membership: Numbers
    """Customers x classes: probability that a customer is in a class; rows add up to 1."""
    parameters: ClassParameters
    decision_count: Numbers
    """Classes x offers: decisions with the offer about customers of the class, by probability."""
    standard_error: Numbers
    """Classes x offers: of the orders after an offer, by chance alone; not of what was expected."""

    def added_orders(self, expected_orders: Any) -> Numbers:
        """Customers x offers: orders in the window that an offer adds to those expected without one."""
        expected = np.asarray(expected_orders, dtype=np.float64)[:, None]
        found = self.parameters
        changed = found.order_factor - found.usual_factor[:, None]
        return expected * (self.membership @ changed) + self.membership @ found.extra_orders

    def redeemed_orders(self, expected_orders: Any) -> Numbers:
        """Customers x offers: orders in the window after an offer that use its code."""
        expected = np.asarray(expected_orders, dtype=np.float64)[:, None]
        redeeming = self.membership * self.parameters.redeemed_share
        return expected * (redeeming @ self.parameters.order_factor) + redeeming @ self.parameters.extra_orders


@dataclass(frozen=True)
class ResponseClasses:
    """Latent classes of how customers answer offers."""

    classes: int = 2
    """How many; more than two did no better on simulated shops, whose customers are of four kinds."""

    def fit(self, history: ResponseHistory) -> FittedResponseClasses:
        """Estimate the classes, and each customer's membership. Raises BadTrial."""
        if self.classes < 1:
            raise BadTrial(f"classes is {self.classes}", where="ResponseClasses", todo="Use 1 or more.")
        history.validate()
        decisions = _Decisions.from_history(history)
        parameters = ClassParameters.first(decisions, self.classes)
        membership, likelihood = _expectation_step(decisions, parameters)
        for _ in range(MAX_ROUNDS):
            before = likelihood
            parameters = _maximisation_step(decisions, parameters, membership)
            membership, likelihood = _expectation_step(decisions, parameters)
            if likelihood - before < MIN_GAIN:
                break
        parameters = parameters.sorted_by_added_orders(decisions)
        membership = _expectation_step(decisions, parameters)[0]
        weight = membership[history.customer].T
        count, orders = decisions.sums_by_offer(weight), decisions.sums_by_offer(weight * history.order_count)
        error = np.sqrt(orders + 1) / (decisions.sums_by_offer(weight * decisions.window_share) + 1)
        return FittedResponseClasses(membership, parameters, count[:, :-1], error[:, :-1])


@dataclass(frozen=True, eq=False)
class _Decisions:
    """Decisions and the history of their customers; none is the last of the offers."""

    history: ResponseHistory
    offer: Codes
    expected_orders: Numbers
    window_share: Numbers
    offer_count: int
    """Offers that were made or have a lower number, without none."""

    @classmethod
    def from_history(cls, history: ResponseHistory) -> Self:
        """Number none as the last offer."""
        count = int(history.offer.max()) + 1
        offer = np.where(history.offer >= 0, history.offer, count)
        share = np.ones(len(offer)) if history.window_share is None else history.window_share
        return cls(history, offer, np.maximum(history.expected_orders, MIN_EXPECTED_ORDERS), share, count)

    @property
    def opened_share(self) -> float:
        """Share of all messages that were opened, 0 to 1; .5 where none was sent."""
        return (self.history.opened_count.sum() + 1) / (self.history.sent_count.sum() + 2)

    @property
    def redeemed_share(self) -> float:
        """Share of the orders with a valid offer that use its code, 0 to 1; .5 without such orders."""
        return (self.history.redeemed_count.sum() + 1) / (self.history.offered_order_count.sum() + 2)

    def sums_by_offer(self, values: Numbers) -> Numbers:
        """Classes x offers, the last none: sums of classes x decisions."""
        sums = [np.bincount(self.offer, row, minlength=self.offer_count + 1) for row in values]
        return np.stack(sums).astype(np.float64)

    def orders_anyway(self, parameters: ClassParameters) -> Numbers:
        """Classes x decisions: orders in the window that would come without extra ones."""
        factor = np.column_stack([parameters.order_factor, parameters.usual_factor])
        return self.expected_orders * factor[:, self.offer]

    def mean_orders(self, parameters: ClassParameters) -> Numbers:
        """Classes x decisions: mean number of orders in the window."""
        extra = np.column_stack([parameters.extra_orders, np.zeros(len(parameters.class_share))])
        return self.orders_anyway(parameters) + self.window_share * extra[:, self.offer]


def _expectation_step(decisions: _Decisions, parameters: ClassParameters) -> tuple[Numbers, float]:
    """Membership, customers x classes, and the log-likelihood less what does not depend on parameters."""
    history, means = decisions.history, decisions.mean_orders(parameters)
    of_decisions = history.order_count * np.log(means) - means
    opened, redeemed = parameters.opened_share[:, None], parameters.redeemed_share[:, None]
    alpha, beta = OPENED_CONCENTRATION * opened, OPENED_CONCENTRATION * (1 - opened)
    joint = (
        np.log(parameters.class_share)[:, None]
        + np.stack([np.bincount(history.customer, row, minlength=len(history.sent_count)) for row in of_decisions])
        + betaln(history.opened_count + alpha, history.sent_count - history.opened_count + beta)
        - betaln(alpha, beta)
        + history.redeemed_count * np.log(redeemed)
        + (history.offered_order_count - history.redeemed_count) * np.log1p(-redeemed)
    )
    of_customers = logsumexp(joint, axis=0)
    return np.exp(joint - of_customers).T, float(of_customers.sum())


def _maximisation_step(decisions: _Decisions, parameters: ClassParameters, membership: Numbers) -> ClassParameters:
    """Parameters that are likelier: orders are split into those expected and, after an offer, extra ones."""
    history, weight = decisions.history, membership[decisions.history.customer].T
    anyway = decisions.orders_anyway(parameters) / decisions.mean_orders(parameters) * history.order_count
    prior_orders = PRIOR_DECISIONS * decisions.expected_orders.mean()
    opened, redeemed = (
        (membership.T @ part + PRIOR_COUNT * share) / (membership.T @ whole + PRIOR_COUNT)
        for part, whole, share in (
            (history.opened_count, history.sent_count, decisions.opened_share),
            (history.redeemed_count, history.offered_order_count, decisions.redeemed_share),
        )
    )
    size = membership.sum(axis=0)
    ordered, expected = (
        decisions.sums_by_offer(weight * anyway),
        decisions.sums_by_offer(weight * decisions.expected_orders),
    )
    usual = (ordered[:, -1:] + prior_orders) / (expected[:, -1:] + prior_orders)
    # why: without evidence an offer changes nothing in a class
    factor = (ordered + prior_orders * usual) / (expected + prior_orders)
    extra = decisions.sums_by_offer(weight * (history.order_count - anyway))
    return ClassParameters(
        (size + 1) / (size.sum() + len(size)),
        usual[:, 0],
        factor[:, :-1],
        extra_orders=(extra / (decisions.sums_by_offer(weight * decisions.window_share) + PRIOR_DECISIONS))[:, :-1],
        opened_share=np.clip(opened, MIN_SHARE, 1 - MIN_SHARE),
        redeemed_share=np.clip(redeemed, MIN_SHARE, 1 - MIN_SHARE),
    )
