"""What buyers spend, by a small network that corrects what their history expects; the extra `deep` fits it.

Trees cut single columns at thresholds; a network follows smooth mixtures of many columns with fewer rows. It learns the
mean and spread of the logarithm of spend, the second part of ZILN (Wang, Liu and Miao 2019): whether somebody orders is
for churn to say. torch fits it, NumPy forecasts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from scipy.special import expit

from patron.estimators.classifiers import log_scaled, moments, standardise
from patron.estimators.saving import Saved
from patron.estimators.torch_import import import_torch, reproducible_draws
from patron.predict.value.buyer_spend import CAP_QUANTILE, log_history_spend
from patron.predict.value.training_matrix import LATER, TrainingMatrix, cap_of
from patron.schema.errors import NotEnoughData
from patron.schema.numbers import Numbers

MIN_BUYERS = 200
MIN_SPREAD, MAX_SPREAD = 1e-3, 1.5
"""Ends of sigma of the logarithm of spend: the mean grows with exp(sigma^2 / 2), and blows up on small data."""


@dataclass(frozen=True, eq=False)
class FittedDeepSpend(Saved, file="deep_spend.json", arrays="weights.npz"):
    """A network from standardised columns to mu and sigma of the logarithm of spend over history's."""

    middle: Numbers
    spread: Numbers
    widths: tuple[int, ...]
    """Of each layer, the input first."""
    weights: Numbers
    """All layers' weights and biases, one after the other."""
    factor: float
    """Brings the exponential to what buyers paid on the mean."""
    cap_cents: float

    def spend(self, rows: pa.Table, matrix: Numbers) -> Numbers:
        """The mean that the network says, up to the cap, cents."""
        expected = np.exp(log_history_spend(rows, self.cap_cents)) * self.correction(matrix)
        return np.minimum(expected * self.factor, self.cap_cents)

    def correction(self, matrix: Numbers) -> Numbers:
        """What the network multiplies the spend of history by."""
        out = self._mu_and_raw_sigma(self._columns(matrix))
        return np.exp(out[:, 0] + sigma_of(out[:, 1]) ** 2 / 2)

    def contributions(self, matrix: Numbers) -> None:  # noqa: ARG002 - the protocol's signature
        """None: what the network corrects is not what a forecast follows from, which is history above all."""
        return

    def _columns(self, matrix: Numbers) -> Numbers:
        return standardise(log_scaled(matrix), self.middle, self.spread, None)

    @property
    def _layers(self) -> list[tuple[Numbers, Numbers]]:
        layers, at = [], 0
        for fan_in, fan_out in pairwise(self.widths):
            end = at + fan_in * fan_out
            layers.append((self.weights[at:end].reshape(fan_in, fan_out), self.weights[end : end + fan_out]))
            at = end + fan_out
        return layers

    def _mu_and_raw_sigma(self, columns: Numbers) -> Numbers:
        """What the last layer says: mu, and sigma before its bounds."""
        layer = np.ascontiguousarray(columns)
        for number, (weights, biases) in enumerate(self._layers, start=1):
            # why not `@`: BLAS sums in an order that depends on how many rows there are, and one must equal many
            layer = np.einsum("ij,jk->ik", layer, weights) + biases
            if number < len(self.widths) - 1:
                layer = np.maximum(layer, 0.0)
        return layer


@dataclass(frozen=True)
class DeepSpend:
    """A network on the features of buyers, cents; needs the extra `deep`."""

    name: str = "deep_spend"
    hidden: tuple[int, ...] = (64, 32)
    """Width of each hidden layer."""
    epochs: int = 40
    rows_at_once: int = 128
    learning_rate: float = 0.002
    weight_decay: float = 0.01
    seed: int = 1

    complexity: ClassVar[int] = 8
    module: ClassVar[str] = "torch"
    fitted: ClassVar[type] = FittedDeepSpend

    def fit(self, training: TrainingMatrix | None, others: Mapping[str, Any]) -> FittedDeepSpend:  # noqa: ARG002 - the protocol's signature
        """Fit to what buyers paid, up to the cap. Raises NotEnoughData, MissingExtra without torch."""
        torch = import_torch(self.name)
        if training is None or len(training.buyers) < MIN_BUYERS:
            what = f"fewer than {MIN_BUYERS} bought after the cutoffs to learn from"
            raise NotEnoughData(what, where=self.name, todo=LATER)
        buyers, cap = training.buyers, cap_of(training.label, CAP_QUANTILE)
        paid, history = np.minimum(training.label[buyers], cap), log_history_spend(training.rows, cap)[buyers]
        scaled = log_scaled(training.matrix[buyers])
        middle, spread, _ = moments(scaled, fills_with_median=False)
        columns = standardise(scaled, middle, spread, None)
        widths = (columns.shape[1], *self.hidden, 2)
        weights = self._fit_weights(torch, columns, np.log(paid) - history, widths)
        fitted = FittedDeepSpend(middle, spread, widths, weights, factor=1.0, cap_cents=cap)
        expected = np.exp(history) * fitted.correction(training.matrix[buyers])
        return replace(fitted, factor=float(paid.mean() / expected.mean()))

    def _fit_weights(self, torch: Any, columns: Numbers, label: Numbers, widths: tuple[int, ...]) -> Numbers:
        with reproducible_draws(torch, self.seed):
            X, y = torch.tensor(columns, dtype=torch.float32), torch.tensor(label, dtype=torch.float32)
            layers: list[Any] = []
            for fan_in, fan_out in pairwise(widths):
                layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
            network = torch.nn.Sequential(*layers[:-1])
            with torch.no_grad():
                network[-1].weight.zero_()  # why: it begins at what history says
                network[-1].bias[0] = y.mean()
            steps = torch.optim.AdamW(network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
            for _ in range(self.epochs):
                for some in torch.randperm(len(y)).split(self.rows_at_once):
                    steps.zero_grad()
                    out = network(X[some])
                    sigma = MAX_SPREAD * torch.sigmoid(out[:, 1]) + MIN_SPREAD
                    (((y[some] - out[:, 0]) / sigma) ** 2 / 2 + torch.log(sigma)).mean().backward()
                    steps.step()
            parts = [part for layer in network[::2] for part in (layer.weight.T.reshape(-1), layer.bias)]
            return torch.cat(parts).detach().numpy().astype(np.float64)


def sigma_of(raw: Numbers) -> Numbers:
    """Sigma of the logarithm of spend, above 0 and no wider than MAX_SPREAD."""
    return MAX_SPREAD * expit(raw) + MIN_SPREAD
