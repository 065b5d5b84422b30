"""Maximum likelihood of any of the models: an objective with its gradient in, parameters and how sure they are out."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy

from patron.schema.kernels import kernel
from patron.schema.numbers import Numbers

Objective = Callable[[Numbers], tuple[float, Numbers]]
"""Mean log-likelihood of a customer, and its gradient, at the logarithms of the parameters."""
LOG_BOUND = 14.0
"""Parameters stay within exp(+-14) of the scaled data: a dimension that the data do not show stops there, finite."""
STEP = 2e-5
FLAT = 1e-9
"""Slope of the mean log-likelihood below which nothing is left to gain."""
MAX_STEPS = 20
FAST = 0.5
"""A step that leaves more of the slope than this is slow."""
CLOSE = 3
"""Steps after which the whole curvature is that of the maximum."""
ROUGH = 1e-5
"""Slope at which a sample has shown where the maximum is near."""


@dataclass(frozen=True)
class Estimates:
    """Result of a fit: parameters by the field's letters, and their likelihood and covariance."""

    params: Mapping[str, float]
    log_likelihood: float = math.nan
    covariance: tuple[tuple[float, ...], ...] = field(default=(), repr=False)
    """Covariance of the logarithms of the parameters; NaN where the data do not identify them, () when unknown."""
    customer_count: float = 0.0
    logarithms: tuple[bool, ...] = ()
    """Whether each parameter was fitted by its logarithm; all are when this is empty."""
    unit: str = ""
    """Unit of time, from the summary."""
    dropout_share: float = math.nan
    """Share of the customers with a repeat order who, as the fitted model has it, have left."""

    @property
    def standard_errors(self) -> dict[str, float]:
        """Standard error of each parameter in its own unit (delta method); NaN where the data do not identify it."""
        known = np.array(self.covariance) if self.covariance else np.full((len(self.params), len(self.params)), np.nan)
        spread = np.sqrt(np.diag(known))
        logs = self.logarithms or (True,) * len(self.params)
        return {
            name: float(value * error if is_log else error)
            for (name, value), error, is_log in zip(self.params.items(), spread, logs, strict=True)
        }

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; what is not known is null."""
        known = [[float(one) if np.isfinite(one) else None for one in row] for row in self.covariance]
        return {
            "params": [[name, value] for name, value in self.params.items()],  # why: their order is the covariance's
            "log_likelihood": self.log_likelihood if math.isfinite(self.log_likelihood) else None,
            "covariance": known,
            "customer_count": self.customer_count,
            "logarithms": list(self.logarithms),
            "unit": self.unit,
            "dropout_share": self.dropout_share if math.isfinite(self.dropout_share) else None,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "Estimates":
        """Rebuild from what `to_dict` returns."""
        covariance = tuple(tuple(np.nan if one is None else one for one in row) for row in saved["covariance"])
        likelihood, left = (
            math.nan if saved[one] is None else saved[one] for one in ("log_likelihood", "dropout_share")
        )
        values = (dict(saved["params"]), likelihood, covariance, saved["customer_count"])
        return cls(*values, tuple(saved["logarithms"]), saved["unit"], left)


def maximise(
    objective: Objective, start: Numbers, *, free: Sequence[bool] = (), sample: Objective | None = None
) -> tuple[Numbers, Numbers]:
    """Where the objective is largest, and its curvature there; `free` parameters are no logarithms, without a bound.

    With the objective of a `sample`, which costs less, that one is maximised first: its maximum is near, and its
    curvature there leads from it to the whole one's in a few steps.
    """
    near = start
    if sample is not None:
        near = _minimise(sample, start, free, flat=ROUGH)
        met = _newton(objective, near, curvature(sample, near))
        if met is not None:
            return met
    at = _minimise(objective, near, free, flat=FLAT)
    return at, curvature(objective, at)


def _minimise(objective: Objective, start: Numbers, free: Sequence[bool], *, flat: float) -> Numbers:
    bound = np.where(list(free) or [False] * len(start), np.inf, LOG_BOUND)

    def negative(at: Numbers) -> tuple[float, Numbers]:
        inside = np.clip(at, -bound, bound)
        beyond = at - inside
        value, gradient = objective(inside)
        return -value + float(beyond @ beyond), -gradient * (beyond == 0) + 2 * beyond

    # why not L-BFGS-B, which knows bounds: it wakes the threads of BLAS for matrices of four rows, which wait busily
    solution = scipy.optimize.minimize(negative, start, jac=True, method="BFGS", options={"gtol": flat, "maxiter": 500})
    return np.clip(np.asarray(solution.x, dtype=np.float64), -bound, bound)


def _newton(objective: Objective, near: Numbers, second: Numbers) -> tuple[Numbers, Numbers] | None:
    """Newton's steps from nearby until the slope is nothing; None when they do not meet.

    The first are by the sample's curvature; the whole one's is taken once, where they have led, and is that of the
    maximum but for a hundredth.
    """
    at = near
    last = np.inf
    is_exact = False
    for step in range(MAX_STEPS):
        if not np.abs(at).max() < LOG_BOUND - 1:
            return None
        value, slope = objective(at)
        size = float(np.abs(slope).max())
        if not (np.isfinite(size) and np.isfinite(value)):
            return None
        if size < FLAT:
            return at, second if is_exact else curvature(objective, at)
        if not is_exact and (step >= CLOSE or not size < FAST * last):
            second, is_exact = curvature(objective, at, slope), True
        elif is_exact and not size < last:
            return None
        last = size
        try:
            np.linalg.cholesky(-second)
        except np.linalg.LinAlgError:
            return None
        at = at - np.linalg.solve(second, slope)
    return None


def curvature(objective: Objective, at: Numbers, slope: Numbers | None = None) -> Numbers:
    """Second derivatives of the objective, by differences of its gradient, whose value here is `slope`."""
    slope = objective(at)[1] if slope is None else slope
    second = np.empty((len(at), len(at)))
    for place in range(len(at)):
        step = np.zeros(len(at))
        step[place] = STEP
        second[place] = (objective(at + step)[1] - slope) / STEP
    return (second + second.T) / 2


@kernel(nogil=True)
def digamma(x: float) -> float:
    """Slope of the logarithm of the gamma function above 0: its asymptotic series, after steps to where it is exact."""
    shift = 0.0
    while x < 8.0:
        shift -= 1.0 / x
        x += 1.0
    per = 1.0 / (x * x)
    series = per * (1 / 12 - per * (1 / 120 - per * (1 / 252 - per * (1 / 240 - per * (1 / 132 - per * 691 / 32760)))))
    return shift + math.log(x) - 0.5 / x - series


def covariance(second: Numbers, at: Numbers, customers: float) -> tuple[tuple[float, ...], ...]:
    """Covariance of what was fitted, from the curvature; NaN for a parameter at its bound or along a flat direction."""
    is_inside = np.abs(at) < LOG_BOUND - 1e-6
    information = -customers * second[np.ix_(is_inside, is_inside)]
    matrix = np.full((len(at), len(at)), np.nan)
    try:
        np.linalg.cholesky(information)
        matrix[np.ix_(is_inside, is_inside)] = np.linalg.inv(information)
    except np.linalg.LinAlgError:
        pass  # why: along some direction the likelihood does not fall; nothing is known of how sure it is
    return tuple(tuple(float(one) for one in row) for row in matrix)


def transformed_objective(objective: Objective, transform: Numbers | None) -> Objective:
    """The objective as a function of what the matrix `transform` maps to its parameters."""
    if transform is None:
        return objective

    def transformed(at: Numbers) -> tuple[float, Numbers]:
        value, slope = objective(transform @ at)
        return value, slope @ transform

    return transformed


def delta_method_covariance(
    known: tuple[tuple[float, ...], ...], transform: Numbers | None
) -> tuple[tuple[float, ...], ...]:
    """Covariance of the transformed parameters (delta method); NaN where one depends on something unknown."""
    if transform is None:
        return known
    fitted = np.array(known)
    is_hidden = (transform != 0) @ np.isnan(np.diag(fitted))
    matrix = transform @ np.nan_to_num(fitted) @ transform.T
    matrix[is_hidden] = np.nan
    matrix[:, is_hidden] = np.nan
    return tuple(tuple(float(one) for one in row) for row in matrix)
