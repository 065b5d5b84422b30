"""Effects as weighted sums of fitted models: what every learner comes down to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from patron.schema.numbers import Numbers
from patron.uplift.base_learners import FITTED_BASES, FittedMean
from patron.uplift.leaf_effects import LeafEffects
from patron.uplift.trial import Codes


@dataclass(frozen=True, eq=False)
class ArmMean:
    """A model with the arm among its features, at one arm."""

    model: FittedMean
    arm: int
    arms: int
    with_products: bool

    @staticmethod
    def design(matrix: Numbers, arm: Codes, arms: int, *, with_products: bool) -> Numbers:
        """Features, 0/1 for each offer and, for a linear base, its products with the features."""
        parts = [matrix]
        for at in range(1, arms):
            is_arm = (arm == at).astype(np.float64)[:, None]
            parts += [is_arm, is_arm * matrix] if with_products else [is_arm]
        return np.hstack(parts)

    def predict(self, matrix: Numbers) -> Numbers:
        """Mean of the outcome in this arm, in its unit."""
        arm = np.full(len(matrix), self.arm, dtype=np.int64)
        return self.model.predict(self.design(matrix, arm, self.arms, with_products=self.with_products))


@dataclass(frozen=True, eq=False)
class EffectModel:
    """Effect of each offer: a weighted sum of models."""

    models: tuple[FittedMean, ...]
    weights: Numbers
    """Offers x models."""

    def effects(self, matrix: Numbers) -> Numbers:
        """Rows x offers, in the outcome's unit."""
        return np.column_stack([one.predict(matrix) for one in self.models]) @ self.weights.T

    def standard_errors(self, matrix: Numbers) -> Numbers:
        """Rows x offers, of models that know their own errors and share no rows."""
        errors = np.column_stack([one.standard_error(matrix) for one in self.models])  # pyright: ignore[reportAttributeAccessIssue]
        return np.sqrt(errors**2 @ self.weights.T**2)

    @property
    def knows_errors(self) -> bool:
        """Whether every model has a standard error."""
        return all(hasattr(one, "standard_error") for one in self.models)


SAVED_KINDS: Mapping[str, type[Any]] = {**FITTED_BASES, "ArmMean": ArmMean, "LeafEffects": LeafEffects}
"""Models that can be saved, by name."""
