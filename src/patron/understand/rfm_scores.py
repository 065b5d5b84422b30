"""Recency, frequency and monetary scores: fifths of the customers by rank."""

import numpy as np
import pyarrow as pa

from patron.schema.numbers import mean_ranks

FIFTHS = 5


def fifths(values: np.ndarray) -> np.ndarray:
    """Scores 1 (lowest) to 5 by rank; equal values share the mean rank and so the score, whatever the row order."""
    if not len(values):
        return np.zeros(0, dtype=np.int64)
    rank = (mean_ranks(values) - 0.5) / len(values)
    return np.minimum((rank * FIFTHS).astype(np.int64) + 1, FIFTHS)


def rfm_scores(features: pa.Table) -> dict[str, np.ndarray]:
    """Scores of recency (5 is the most recent), frequency and money, both over the lifetime."""
    return {
        "recency_score": fifths(-features["days_since_last_order"].to_numpy()),
        "frequency_score": fifths(features["order_count_lifetime"].to_numpy()),
        "monetary_score": fifths(features["paid_cents_lifetime"].to_numpy()),
    }
