"""What we promise: policy.toml, whose hash is stored with every decision."""

import hashlib
import json
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from patron.schema.errors import SettingsError
from patron.schema.sentences import Sentence
from patron.storage.customers.task_policy import TaskPolicy
from patron.storage.offers.fairness_policy import FairnessPolicy
from patron.storage.offers.offer_policy import LifecycleStage, Offer
from patron.storage.outreach.message_policy import CampaignPolicy, MessagePolicy
from patron.storage.outreach.topic_policy import DEFAULT_TOPICS, Topic, require_topic_names
from patron.storage.recommendations.recommendation_policy import RecommendationPolicy
from patron.storage.settings import TODO, parse_toml, read_toml
from patron.storage.settings_problems import problems_of

WRITE_AT_RISK_FROM = Sentence("write_at_risk_from", "Write at_risk_from instead, such as at_risk_from = 0.5.")

CENTS_PER_RUN_NUMBER = Sentence(
    "cents_per_run_number", "budget.cents_per_run must be a whole number of at least 0 (got {value})"
)
WRITE_AMOUNT = Sentence(
    "write_amount", 'Write amount and period instead, such as amount = 1000.00 and period = "month".'
)
IS_DELIVERED_FLAG = Sentence("is_delivered_flag", "channel.is_delivered must be true or false (got {value})")
WRITE_CONFIRM = Sentence("write_confirm", 'Write confirm = "manual" or confirm = "automatic" instead.')
CHURN_NUMBER = Sentence("churn_number", "at_risk.churn_probability must be a number from 0 to 1 (got {value})")
OFFER_IDS_ONCE = Sentence("offer_ids_once", "each id once, and neither 'none' nor 'any'; fix {names}")
ONE_ORDINARY = Sentence("one_ordinary", "need is_ordinary of one offer at most; {names} have it")
CHANNEL_TOPIC = Sentence("channel_topic", "needs [channel] topic to be a section of [topics]: {names} (got {value!r})")

LAPSED_ORDER = Sentence("lapsed_order", "needs lapsed_from ({lapsed}) to be at least at_risk_from ({risk})")
UNLIMITED_TODO = Sentence("unlimited_todo", "Name an amount such as 2000.")

BudgetPeriod = Literal["day", "week", "month", "quarter", "year"]
MAX_MONEY = 1e12
"""Largest budget, so that its cents are exact."""
PROFILING = "profiling"
"""Purpose to which a customer may object: no scores are exported, no segment follows from their forecasts, and nothing
is recommended from their history."""
OFFERS = "offers"
"""Topic of the outbox, unless the policy names another one."""
OLD_CHURN_KEY = "churn_probability"
OLD_EXPLORATION_KEYS = ("first_days", "offer_share", "later_share")
OLD_BUDGET_KEY = "cents_per_run"
OLD_DELIVERED_KEY = "is_delivered"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Budget(_Section):
    """What all runs of a period may spend together."""

    amount: float = Field(default=1_000.0, ge=0, le=MAX_MONEY, allow_inf_nan=False)
    """Expected cost of the offers of all runs in a period, in the shop's currency."""
    period: BudgetPeriod = "month"
    """Calendar period by the shop's clock: day, week (from Monday), month, quarter or year."""

    @property
    def cents(self) -> int:
        """The amount in whole cents, rounded down."""
        return int(Decimal(str(self.amount)) * 100)

    @classmethod
    def of(cls, amount: float, period: BudgetPeriod) -> Self:
        """A budget from outside policy.toml. Raises SettingsError for an amount that is not valid."""
        try:
            return cls(amount=amount, period=period)
        except ValidationError as error:
            raise SettingsError(problems_of(error, cls), where="budget", todo=UNLIMITED_TODO) from error


class Holdout(_Section):
    """The control group, which no offer reaches."""

    experiment: str = Field(default="retention", min_length=1)
    """Name of the experiment: a customer is assigned once per name."""
    share: float = Field(default=0.10, ge=0, le=0.9)
    """Share of customers in the holdout, 0 to 0.9."""


class Exploration(_Section):
    """What learning may cost: some customers get another action than the best one, so that effects can be measured."""

    share: float = Field(default=0.05, ge=0, le=1)
    """Share of the budget that randomising offers may cost in expected net value; 0 randomises nothing."""
    recommendation_share: float = Field(default=0.02, ge=0, le=1)
    """Share of the expected clicks that trying a product in one place of a list may cost; 0 tries nothing."""


class Caps(_Section):
    """How many offers one customer may get."""

    offers_per_customer: int = Field(default=1, ge=0)
    """Limit of offers per customer ..."""
    within_days: int = Field(default=28, ge=1)
    """... in this many days."""


class Consent(_Section):
    """What needs consent, and what applies when it is unknown."""

    unknown: Literal["refuse", "allow"] = "refuse"
    """Whether customers of unknown consent may be contacted."""
    marketing: str = Field(default="marketing", min_length=1)
    """Purpose that contacting customers needs."""
    advertising: str = Field(default="advertising", min_length=1)
    """Purpose that giving hashed identifiers of customers to ad platforms needs."""
    personal_offers: str = Field(default="personalisation", min_length=1)
    """Purpose whose withdrawal refuses personal offers: these customers get the ordinary offer, or none."""
    events_need: str = ""
    """Purpose that collecting views, searches and clicks needs, such as "analytics"; empty: they need no consent."""
    without: Literal["keep", "refuse"] = "keep"
    """Such an event without consent is kept, flagged and not used, or rejected without its content."""
    names: dict[str, str] = {}
    """Purposes by the names that consent managers have for them, such as C0002 = "analytics"."""

    def purpose(self, name: str) -> str:
        """The purpose that a name stands for, in lower case; case does not matter."""
        by_name = {known.lower(): purpose for known, purpose in self.names.items()}
        return by_name.get(name.strip().lower(), name.strip()).lower()

    def names_of(self, purpose: str) -> tuple[str, ...]:
        """A purpose and every name that stands for it, in lower case."""
        purpose = self.purpose(purpose)
        return (purpose, *sorted({name.lower() for name in self.names if self.purpose(name) == purpose} - {purpose}))

    def allows(self, *, is_granted: bool | None) -> bool:
        """Whether a purpose is allowed when its consent is granted, withdrawn, or unknown (None)."""
        return self.unknown == "allow" if is_granted is None else is_granted


class AtRisk(_Section):
    """Who is at risk of leaving, and who is considered for an offer."""

    at_risk_from: float = Field(default=0.5, ge=0, le=1)
    """Customers whose next order is due are at risk from this churn probability on, 0 to 1 ..."""
    lapsed_from: float = Field(default=0.8, ge=0, le=1)
    """... and lapsed from this one on."""
    lifecycle_stages: tuple[LifecycleStage, ...] = ("at_risk", "lapsed")
    """Lifecycle stages that are considered for an offer."""
    active_within_days: int = Field(default=0, ge=0)
    """Only customers who visited, ordered or opened a message within so many days are considered; 0 turns this off."""

    @model_validator(mode="after")
    def _lapsed_is_more(self) -> Self:
        if self.lapsed_from < self.at_risk_from:
            raise ValueError(LAPSED_ORDER(lapsed=self.lapsed_from, risk=self.at_risk_from))
        return self


class Channel(_Section):
    """How offers reach customers."""

    name: Literal["file"] = "file"
    """Files in the workspace's outbox folder."""
    confirm: Literal["manual", "automatic"] = "manual"
    """How it becomes known that offers were sent: somebody or a receipt says so, or handing them over is enough."""
    confirm_within_days: int = Field(default=7, ge=1, le=90)
    """Days after which offers that nobody confirmed expire: their file is taken back, and they count nowhere."""
    topic: str = OFFERS
    """Topic of the outbox, a section of [topics]: who left it is in no file."""


class Measurement(_Section):
    """How the effect of an offer is measured."""

    window_days: int = Field(default=28, ge=1, le=365)
    """Days after a decision in which its effect is counted."""
    history_days: int = Field(default=365, ge=1)
    """Decisions older than this are left out when effects are estimated."""


class Models(_Section):
    """When models are trained again."""

    retrain_days: int = Field(default=7, ge=0, le=365)
    """Days that a model scores before a run trains it again; 0 or 1: every nightly run trains."""


class Policy(_Section):
    """All promises of one workspace."""

    budget: Budget = Budget()
    holdout: Holdout = Holdout()
    exploration: Exploration = Exploration()
    caps: Caps = Caps()
    consent: Consent = Consent()
    at_risk: AtRisk = AtRisk()
    channel: Channel = Channel()
    messages: MessagePolicy = MessagePolicy()
    measure: Measurement = Measurement()
    fairness: FairnessPolicy = FairnessPolicy()
    models: Models = Models()
    campaigns: CampaignPolicy = CampaignPolicy()
    tasks: TaskPolicy = TaskPolicy()
    recommendations: RecommendationPolicy = RecommendationPolicy()
    topics: dict[str, Topic] = DEFAULT_TOPICS
    offers: tuple[Offer, ...] = ()

    @field_validator("topics")
    @classmethod
    def _are_purposes(cls, topics: dict[str, Topic]) -> dict[str, Topic]:
        return require_topic_names(topics)

    @field_validator("offers")
    @classmethod
    def _each_once(cls, offers: tuple[Offer, ...]) -> tuple[Offer, ...]:
        ids = [offer.id for offer in offers]
        repeated = sorted({name for name in ids if ids.count(name) > 1})
        if repeated or "none" in ids or "any" in ids:
            raise ValueError(OFFER_IDS_ONCE(names=", ".join(repeated) or "the id"))
        ordinary = [offer.id for offer in offers if offer.is_ordinary]
        if len(ordinary) > 1:
            raise ValueError(ONE_ORDINARY(names=" and ".join(ordinary)))
        return offers

    @model_validator(mode="after")
    def _has_the_topic_of_the_outbox(self) -> Self:
        topic = self.channel.topic
        if topic and topic != OFFERS and topic not in self.topics:
            known = ", ".join(sorted(self.topics)) or "none"
            raise ValueError(CHANNEL_TOPIC(names=known, value=topic))
        return self

    @property
    def outbox_topic(self) -> str:
        """Topic of the outbox; empty where the policy has no topic of that name."""
        return self.channel.topic if self.channel.topic in self.topics else ""

    @property
    def ordinary_offer(self) -> Offer | None:
        """What customers get who refuse personal offers; None for nothing."""
        return next((offer for offer in self.offers if offer.is_ordinary), None)

    @cached_property
    def offer_names(self) -> dict[str, str]:
        """Names that the shop gave its offers, by their ids."""
        return {offer.id: offer.name for offer in self.offers if offer.name}

    @cached_property
    def version(self) -> str:
        """Short hash of the parsed content: comments and layout do not change it."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @classmethod
    def load(cls, path: Path) -> "Policy":
        """Read policy.toml. Raises SettingsError naming file, key, value and what is expected."""
        return cls._of(read_toml(path), path)

    @classmethod
    def parse(cls, text: str, path: Path = Path("policy.toml")) -> "Policy":
        """Read the text of a policy.toml. Raises SettingsError as `load` does."""
        return cls._of(parse_toml(text, str(path)), path)

    @classmethod
    def _of(cls, read: dict[str, Any], path: Path) -> "Policy":
        content, _ = translate(read, path)
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise SettingsError(problems_of(error, cls), where=str(path), todo=TODO) from error


def policy_notice(path: Path) -> str:
    """How an older policy.toml is read, in a sentence; empty for a current one. Raises SettingsError."""
    return translate(read_toml(path), path)[1]


def translate(content: dict[str, Any], path: Path) -> tuple[dict[str, Any], str]:
    """The content of an older policy.toml in today's keys, and what was translated; '' for a current one.

    Raises SettingsError for a number that was never allowed.
    """
    content, churn = _translate_churn(content, path)
    content, exploration = _translate_exploration(content)
    content, budget = _translate_cents_per_run(content, path)
    content, channel = _translate_is_delivered(content, path)
    return content, "; ".join(notice for notice in (churn, exploration, budget, channel) if notice)


def _translate_is_delivered(content: dict[str, Any], path: Path) -> tuple[dict[str, Any], str]:
    """`[channel] is_delivered` said for good whether somebody sends the outbox; today each run is confirmed."""
    section = content.get("channel")
    if not isinstance(section, dict) or OLD_DELIVERED_KEY not in section:
        return content, ""
    is_delivered, today = section[OLD_DELIVERED_KEY], {k: v for k, v in section.items() if k != OLD_DELIVERED_KEY}
    if not isinstance(is_delivered, bool):
        raise SettingsError(IS_DELIVERED_FLAG(value=repr(is_delivered)), where=str(path), todo=WRITE_CONFIRM)
    old = f"[channel] {OLD_DELIVERED_KEY} = {json.dumps(is_delivered)}"
    if "confirm" in today:
        return content | {"channel": today}, f"{old} no longer has any effect"
    today |= {"confirm": "automatic" if is_delivered else "manual"}
    return content | {"channel": today}, f'{old} is read as confirm = "{today["confirm"]}"'


def _translate_cents_per_run(content: dict[str, Any], path: Path) -> tuple[dict[str, Any], str]:
    """`[budget] cents_per_run` as the budget of a month, the stricter reading: two runs do not spend it twice."""
    section = content.get("budget")
    if not isinstance(section, dict) or OLD_BUDGET_KEY not in section:
        return content, ""
    cents, today = section[OLD_BUDGET_KEY], {key: one for key, one in section.items() if key != OLD_BUDGET_KEY}
    if not isinstance(cents, int) or isinstance(cents, bool) or cents < 0:
        raise SettingsError(CENTS_PER_RUN_NUMBER(value=repr(cents)), where=str(path), todo=WRITE_AMOUNT)
    old = f"[budget] {OLD_BUDGET_KEY} = {cents}"
    if "amount" in today:
        return content | {"budget": today}, f"{old} no longer has any effect"
    today = {"period": "month"} | today | {"amount": cents / 100}
    return content | {"budget": today}, f'{old} is read as amount = {cents / 100:.2f}, period = "{today["period"]}"'


def _translate_churn(content: dict[str, Any], path: Path) -> tuple[dict[str, Any], str]:
    """`[at_risk] churn_probability` considered customers of any stage for an offer from it on.

    Stages did not look at it. Today a churn probability says who is at risk. 1.0 turned the key off.
    """
    section = content.get("at_risk")
    if not isinstance(section, dict) or OLD_CHURN_KEY not in section:
        return content, ""
    today = {key: value for key, value in section.items() if key != OLD_CHURN_KEY}
    probability = section[OLD_CHURN_KEY]
    is_number = isinstance(probability, int | float) and not isinstance(probability, bool)
    if not is_number or not 0 <= probability <= 1:
        raise SettingsError(CHURN_NUMBER(value=repr(probability)), where=str(path), todo=WRITE_AT_RISK_FROM)
    if probability < 1 and "at_risk_from" not in today:
        stages = today.get("lifecycle_stages", list(AtRisk().lifecycle_stages))
        if isinstance(stages, list):
            today["lifecycle_stages"] = [
                *stages,
                *(stage for stage in AtRisk().lifecycle_stages if stage not in stages),
            ]
        today |= {"at_risk_from": probability}
        today.setdefault("lapsed_from", max(AtRisk().lapsed_from, probability))
    written = ", ".join(f"{key} = {json.dumps(value)}" for key, value in today.items() if section.get(key) != value)
    replaced = f"is read as {written}" if written else "no longer has any effect"
    return content | {"at_risk": today}, f"[at_risk] {OLD_CHURN_KEY} = {probability} {replaced}"


def _translate_exploration(content: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Offers were once randomised by shares of the customers, all of them in the first days; today for a regret."""
    section = content.get("exploration")
    if not isinstance(section, dict) or not section.keys() & set(OLD_EXPLORATION_KEYS):
        return content, ""
    old = [key for key in OLD_EXPLORATION_KEYS if key in section]
    today = {key: value for key, value in section.items() if key not in OLD_EXPLORATION_KEYS}
    is_off = section.get("later_share") == 0 and section.get("first_days") == 0
    today.setdefault("share", 0.0 if is_off else Exploration().share)
    names, share = " and ".join([", ".join(old[:-1]), old[-1]] if old[1:] else old), today["share"]
    verb = "are" if old[1:] else "is"
    return content | {"exploration": today}, f"[exploration] {names} {verb} read as share = {json.dumps(share)}"
