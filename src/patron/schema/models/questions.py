"""What is predicted, each question declared once: stages, answers, pages and documents read it here."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from patron.schema.models import metrics
from patron.schema.models.metrics import Metric

LABEL_JOIN = """
from label_windows m
left join {facts} l on l.customer_id = m.customer_id
    and l.ordered_at >= m.as_of and l.ordered_at < m.until and l.known_at < m.until
group by m.customer_id, m.as_of
"""
ORDERED = "max(case when l.customer_id is not null and not l.is_refund then 1 else 0 end)"
NET_PAID = "coalesce(cast(sum(l.paid_cents) as double), 0.0)"
DAYS_BEFORE_FORECAST = 30
"""Days of history that the first cutoff needs which a forecast is learned from and checked at."""
CENTS = "cents"
PROBABILITY = "probability"
RANKING = "ranking"


@dataclass(frozen=True, kw_only=True)
class Target:
    """One thing to predict, and how forecasts of it are compared."""

    name: str
    meaning: str
    unit: str
    """CENTS, PROBABILITY, or RANKING: a list of products, best first."""
    primary_metric: Metric
    """What learners are compared on."""
    metrics: tuple[Metric, ...]
    """Printed next to it, the most telling first."""
    baselines: tuple[str, ...]
    """Names of the learners that any other has to beat."""
    default: str = ""
    """The learner that is champion unless another, no baseline, is better by more than noise; the simplest if empty."""
    fewest_customers: int = 50
    """An origin with fewer of them is not evaluated."""

    @property
    def is_probability(self) -> bool:
        """Whether forecasts are within 0 and 1."""
        return self.unit == PROBABILITY

    @property
    def is_ranking(self) -> bool:
        """Whether the forecast is a list of products instead of a number."""
        return self.unit == RANKING

    @property
    def all_metrics(self) -> tuple[Metric, ...]:
        """The primary metric, then the others."""
        return (self.primary_metric, *self.metrics)


@dataclass(frozen=True, kw_only=True)
class Question(Target):
    """One thing to predict of each customer at a cutoff."""

    horizon_days: int
    population: str
    """SQL condition over the columns of the features: which customers are scored."""
    label: str
    """SQL expression over the facts `l` of one (customer_id, as_of): order lines ordered in [as_of, as_of + horizon)
    and known by its end, refunds included; `l.customer_id is null` where there are none."""


@dataclass(frozen=True, kw_only=True)
class SessionQuestion(Target):
    """One thing to predict of each visit after each of its events, until it ends by a pause of 30 minutes."""

    event: str
    """What of the rest of the visit is predicted: the kind of an event that is still to come."""


@dataclass(frozen=True, kw_only=True)
class CategoryQuestion(Target):
    """One thing to predict of each customer and category at a cutoff.

    Candidates are the categories that a customer has bought, and the five most popular others. The label is of the
    category's order lines that are ordered in [as_of, as_of + horizon) and known by its end.
    """

    horizon_days: int


@dataclass(frozen=True, kw_only=True)
class MessageQuestion(Target):
    """One thing to predict of each customer and message, as of just before it is sent.

    The label is of what came of the message while its offer was valid, and was known by then.
    """

    horizon_days: int
    """How long a response is waited for where the message does not say how long its offer is valid."""


@dataclass(frozen=True, kw_only=True)
class ContractQuestion(Target):
    """One thing to predict of each contract that ends soon after a cutoff.

    The label is 1 where no later term was known by the end and some days of grace.
    """

    ends_within_days: int
    """Which contracts: those that end so soon after the cutoff, as was known then."""
    grace_days: int
    """How long after its end a renewal is waited for."""

    @property
    def horizon_days(self) -> int:
        """When the label of every contract of a cutoff is known."""
        return self.ends_within_days + self.grace_days


VALUE = Question(
    name="value",
    meaning="net paid in the next 90 days",
    unit=CENTS,
    horizon_days=90,
    population="true",
    label=NET_PAID,
    # A few customers make most of the squared error: the plain RMSE is printed next to it, and does not choose.
    primary_metric=metrics.RMSE_WINSORISED,
    metrics=(
        metrics.RMSE,
        metrics.MSE,
        metrics.MAE,
        metrics.BIAS_SHARE,
        metrics.NORMALISED_GINI,
        metrics.SPEARMAN,
        metrics.DECILE_MAPE,
    ),
    baselines=("last_90_days", "shrunken_last_90_days"),
    default="stacked_spend",
)
CHURN = Question(
    name="churn",
    meaning="no order in the next 90 days",
    unit=PROBABILITY,
    horizon_days=90,
    population="true",
    label=f"cast(1 - {ORDERED} as double)",
    # Decisions multiply the probability with money, so it must be right and not only well ordered: log loss is proper
    # and, unlike Brier's score, does not forgive a rare outcome that was called impossible. AUC is printed next to it.
    primary_metric=metrics.LOG_LOSS,
    metrics=(metrics.AUC, metrics.BRIER, metrics.CALIBRATION_ERROR, metrics.BIAS_SHARE),
    baselines=("mean", "recency_only"),
    default="averaged",
)
PURCHASE = Question(
    name="purchase",
    meaning="an order in the next 30 days",
    unit=PROBABILITY,
    horizon_days=30,
    population="true",
    label=f"cast({ORDERED} as double)",
    primary_metric=metrics.LOG_LOSS,
    metrics=(metrics.AUC, metrics.BRIER, metrics.CALIBRATION_ERROR, metrics.BIAS_SHARE),
    baselines=("mean", "recency_only"),
    default="averaged",
)
PURCHASE_7_DAYS = replace(PURCHASE, name="purchase_7_days", meaning="an order in the next 7 days", horizon_days=7)
"""An order in the next 90 days is the opposite of CHURN, and no question of its own."""
RECOMMEND = Question(
    name="recommend",
    meaning="products bought in the next 28 days",
    unit=RANKING,
    horizon_days=28,
    population="true",
    label="l.product_id",
    primary_metric=metrics.NDCG_AT_10,
    metrics=(metrics.RECALL_AT_10, metrics.NOVEL_NDCG_AT_10),
    baselines=("popularity",),
    default="item_hazard",
    fewest_customers=20,
)
"""The label is a row per product bought, not a number per customer."""
PROSPECTS = Question(
    name="prospects",
    meaning="net paid in the next 90 days by people without an order",
    unit=CENTS,
    horizon_days=90,
    population="true",
    label=NET_PAID,
    primary_metric=metrics.NORMALISED_GINI,
    metrics=(metrics.RMSE_WINSORISED, metrics.RMSE, metrics.MAE, metrics.BIAS_SHARE, metrics.SPEARMAN),
    baselines=("mean", "mean_by_channel"),
    default="prospects",
)
"""Of people without an order, who have no row in `features`; the primary metric is the ranking: whom to win first."""

SESSION_CONVERSION = SessionQuestion(
    name="session_conversion",
    meaning="an order later in the same visit",
    unit=PROBABILITY,
    event="order",
    primary_metric=metrics.LOG_LOSS,
    metrics=(metrics.AUC, metrics.AVERAGE_PRECISION, metrics.CALIBRATION_ERROR),
    baselines=("base_rate", "rate_by_event_count", "rate_by_cart_and_views", "rate_by_last_event"),
    default="logistic",
)
"""Forecast live, after each event; a run fits the model and keeps no score."""

CATEGORY_PURCHASE = CategoryQuestion(
    name="category_purchase",
    meaning="an order line in the category in the next 30 days",
    unit=PROBABILITY,
    horizon_days=30,
    primary_metric=metrics.LOG_LOSS,
    metrics=(metrics.AUC, metrics.AVERAGE_PRECISION, metrics.CALIBRATION_ERROR),
    baselines=("rate_by_category", "bought_last_30_days", "own_share", "own_rhythm"),
    default="logistic",
)
CATEGORY_SPEND = CategoryQuestion(
    name="category_spend",
    meaning="net paid in the category in the next 90 days",
    unit=CENTS,
    horizon_days=90,
    primary_metric=metrics.RMSE_WINSORISED,
    metrics=(metrics.NORMALISED_GINI, metrics.RMSE, metrics.BIAS_SHARE),
    baselines=("mean_by_category", "last_90_days", "own_rate"),
    default="weighted_rates",
)
"""Of these two a run keeps the best of each customer in `category_needs`."""

MESSAGE_RESPONSE = MessageQuestion(
    name="message_response",
    meaning="a response to the next message: an order with its coupon or from its campaign, else a click",
    unit=PROBABILITY,
    horizon_days=30,
    primary_metric=metrics.LOG_LOSS,
    metrics=(metrics.AUC, metrics.WITHIN_CAMPAIGN_AUC, metrics.CALIBRATION_ERROR),
    baselines=("mean", "rate_by_message_type", "personal_response_rate", "recency_frequency"),
    default="averaged",
)
"""Who responds need not be whom a message persuades; a run keeps it in `response_forecasts`."""
MIN_MESSAGES, MIN_RESPONSES = 300, 50
"""Messages whose time for a response is over, and responses to them, without which there is no forecast."""

CONTRACT_CHURN = ContractQuestion(
    name="contract_churn",
    meaning="a contract that ends in the next 30 days is not renewed within 14 days of its end",
    unit=PROBABILITY,
    ends_within_days=30,
    grace_days=14,
    primary_metric=metrics.LOG_LOSS,
    metrics=(metrics.AUC, metrics.BRIER, metrics.CALIBRATION_ERROR),
    baselines=("mean", "rate_by_term", "rate_by_cancellation"),
    default="after_cancellation",
    fewest_customers=30,
)
"""Churn with contracts; CHURN is that without. A run keeps it in `contract_forecasts`."""
MIN_ENDED_CONTRACTS, MIN_LOST_CONTRACTS = 100, 20
"""Terms whose grace is over, and those of them without a renewal, without which there is no forecast."""

QUESTIONS = (VALUE, CHURN, PURCHASE, PURCHASE_7_DAYS, RECOMMEND, PROSPECTS)
"""Those about customers, which a run scores."""
TARGETS: tuple[Target, ...] = (
    *QUESTIONS,
    CATEGORY_PURCHASE,
    CATEGORY_SPEND,
    MESSAGE_RESPONSE,
    CONTRACT_CHURN,
    SESSION_CONVERSION,
)
"""Everything that is predicted and evaluated."""
QUESTION_BY_NAME: Mapping[str, Target] = {target.name: target for target in TARGETS}


def label_query(question: Question, facts: str = "order_lines") -> str:
    """Portable SQL for the labels of `label_windows` (see the function): customer_id, as_of, label; not ordered."""
    return f"select m.customer_id, m.as_of, {question.label} as label {LABEL_JOIN.format(facts=facts)}"
