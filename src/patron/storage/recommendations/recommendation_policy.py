"""What every list of recommendations keeps to: the section [recommendations] of policy.toml."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

SCENARIOS = ("home", "product", "cart", "message")
"""Places that have lists without further settings."""


class ListPolicy(BaseModel):
    """Rules and wishes of a list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(default=10, ge=1, le=100)
    """Products of a list."""
    in_stock: bool = True
    """Whether products whose stock is known to be below 1 are left out."""
    least_margin_share: float | None = Field(default=None, le=1)
    """Products whose margin is known to be a smaller share of the price are left out."""
    bought_within_days: float = Field(default=14, ge=0, le=3650)
    """What was bought less than so many days ago is left out, unless it is consumed."""
    returned_within_days: float = Field(default=365, ge=0, le=3650)
    """What was returned less than so many days ago is left out."""
    one_per_style: bool = True
    """Whether one variant of a style at most is in a list."""
    most_per_category: int = Field(default=0, ge=0)
    """Products of a category in a list; 0: no limit."""
    least_click_probability: float = Field(default=0, ge=0, le=1)
    """Less likely clicks are left out: a shorter list rather than a bad one."""
    tail_share: float = Field(default=0, ge=0, le=1)
    """Share of the places that the long tail has at least."""
    diversity: float = Field(default=0.1, ge=0, le=1)
    """Weight of being unlike the rest of the list, next to being clicked."""
    value_weight: float = Field(default=0, ge=0, le=1)
    """How much the margin counts next to the probability of an order: 0 not at all, 1 as much."""
    rotation: float = Field(default=0.3, ge=0, le=1)
    """Share of its click probability that a product loses when it was shown and not clicked ..."""
    rotation_half_life_days: float = Field(default=1, gt=0)
    """... half of which it has again after so many days."""


class RecommendationPolicy(ListPolicy):
    """What every list keeps to, and what single scenarios have otherwise."""

    ranking: Literal["counts", "learned"] = "learned"
    """How candidates are ranked: by each customer's counts and rhythm alone, or where it is better by trees that learn
    from several recommenders, which takes a minute for a million order lines."""
    text_vectors: Literal["terms", "encoder"] = "terms"
    """How texts of products are compared: by their terms alone, or also by an encoder that knows synonyms and other
    languages; it needs the extra `embeddings`."""
    blocked: tuple[str, ...] = ()
    """Products that no list has, by the shop's own ids."""
    scenarios: dict[str, dict[str, Any]] = {}
    """For a scenario, such as home or cart: what it has otherwise than all lists."""

    @model_validator(mode="after")
    def _scenarios_are_lists(self) -> Self:
        for name in self.scenarios:
            self.of_scenario(name)
        return self

    @property
    def scenario_names(self) -> tuple[str, ...]:
        """Every scenario that has lists."""
        return tuple(dict.fromkeys((*SCENARIOS, *self.scenarios)))

    def of_scenario(self, name: str) -> ListPolicy:
        """What lists of a scenario keep to."""
        shared = self.model_dump(include=set(ListPolicy.model_fields))
        return ListPolicy.model_validate(shared | self.scenarios.get(name, {}))
