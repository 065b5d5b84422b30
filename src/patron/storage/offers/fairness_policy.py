"""Traits that must not decide who gets an offer: the section [fairness] of policy.toml."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from patron.schema.privacy.personal_keys import kind_of_trait, snake_case
from patron.schema.sentences import Sentence

TRAITS_OF_GROUPS = Sentence(
    "traits_of_groups",
    "names traits that many customers share; {names} identifies single persons: fix or delete it",
)
REFUSE_BELOW_WARN = Sentence(
    "refuse_below_warn", "needs refuse_{name} to be at most warn_{name}, so that a warning comes first"
)
REFUSE_ABOVE_WARN = Sentence(
    "refuse_above_warn", "needs refuse_{name} to be at least warn_{name}, so that a warning comes first"
)


class FairnessPolicy(BaseModel):
    """Traits that must not make a difference, and from when on a difference is reported or stops the offers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sensitive_traits: tuple[str, ...] = ()
    """Traits that are never features, and by whose groups selections are compared; the most important first."""
    fewest_customers: int = Field(default=50, ge=20)
    """Smaller groups are neither compared nor shown."""
    warn_ratio: float = Field(default=0.8, gt=0, le=1)
    """Offers: report a group whose share of customers with an offer is this part of the others', or less ..."""
    refuse_ratio: float = Field(default=0.5, ge=0, le=1)
    """... and decide no offers from this ratio on."""
    warn_true_positive_gap: float = Field(default=0.1, gt=0, le=1)
    """Churn: report a group of whose leaving customers so much more or less are forecast as leaving, 0 to 1 ..."""
    refuse_true_positive_gap: float = Field(default=0.2, gt=0, le=1)
    """... and decide no offers from this gap on."""
    warn_calibration_gap: float = Field(default=0.05, gt=0, le=1)
    """Churn: report a group whose forecast is so much further above or below the actual than the others', 0 to 1 ..."""
    refuse_calibration_gap: float = Field(default=0.15, gt=0, le=1)
    """... and decide no offers from this gap on."""
    price_from_value: bool = False
    """Whether the size of a discount may follow from what a customer is worth; else it is one per stage and taste."""
    mitigation: Literal["none", "group_thresholds"] = "none"
    """What is done about a gap in the customers forecast as leaving: nothing, or thresholds of each group's own."""

    @field_validator("sensitive_traits")
    @classmethod
    def _are_groups(cls, traits: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(snake_case(trait) for trait in traits))
        wrong = sorted(name for name in names if not name or kind_of_trait(name) in {"identifying", "free_text"})
        if wrong:
            raise ValueError(TRAITS_OF_GROUPS(names=", ".join(wrong) or "an empty text"))
        return names

    @model_validator(mode="after")
    def _refuses_more_than_it_warns(self) -> Self:
        pairs = (
            ("ratio", self.warn_ratio, self.refuse_ratio),
            ("true_positive_gap", self.refuse_true_positive_gap, self.warn_true_positive_gap),
            ("calibration_gap", self.refuse_calibration_gap, self.warn_calibration_gap),
        )
        for name, larger, smaller in pairs:
            if larger < smaller:
                sentence = REFUSE_BELOW_WARN if name == "ratio" else REFUSE_ABOVE_WARN
                raise ValueError(sentence(name=name))
        return self
