"""From which probability on a row counts as positive: by the money that it makes, or by F1."""

from dataclasses import dataclass

import numpy as np

from patron.schema.numbers import Numbers


@dataclass(frozen=True)
class Payoff:
    """What acting on a row brings where it is positive, and what it costs anyway; integer cents."""

    gain_cents: int
    cost_cents: int

    def profit(self, label: Numbers, is_chosen: Numbers) -> Numbers:
        """Cents that acting on the chosen rows brings, row by row."""
        return is_chosen * (label * self.gain_cents - self.cost_cents)


def choose_threshold(label: Numbers, probability: Numbers, payoff: Payoff | None) -> float:
    """Threshold with the highest profit, or the highest F1 without a payoff, on rows the model was not fitted to.

    Of equal ones it is the middle of the first run, so that a small shift of the probabilities changes little.
    """
    order = np.argsort(-probability, kind="stable")
    ranked, hits = probability[order], np.cumsum(label[order])
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    chosen = ends + 1
    if payoff is None:
        worth = 2 * hits[ends] / (chosen + label.sum())
    else:
        worth = hits[ends] * float(payoff.gain_cents) - chosen * float(payoff.cost_cents)
        if worth.max() <= 0:
            return 1.0
    best = int(np.argmax(worth))
    below = ranked[ends[best + 1]] if best + 1 < len(ends) else 0.0
    return float((ranked[ends[best]] + below) / 2)
