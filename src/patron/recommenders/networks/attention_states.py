"""Where sequences of items end: what the self-attentive network says after its weights are fitted, in NumPy."""

from collections.abc import Mapping

import numpy as np
import scipy

from patron.recommenders.factors.factor_solver import Factors
from patron.recommenders.interactions import Codes

USERS_AT_ONCE = 512
NORM_FLOOR = 1e-5
"""Added to variances, as layer norms do."""


def weight_shapes(width: int, blocks: int, length: int) -> Mapping[str, tuple[int, ...]]:
    """Shape of each weight but the items', by name."""
    shapes: dict[str, tuple[int, ...]] = {"places": (length, width)}
    for block in range(blocks):
        shapes |= {f"{block}.{name}": (width, width) for name in ("query", "key", "value", "out")}
        shapes |= {f"{block}.wide": (width, 4 * width), f"{block}.narrow": (4 * width, width)}
        shapes |= {f"{block}.{name}": (width,) for name in ("norm_a", "norm_b")}
    return shapes | {"norm": (width,)}


def sequence_ends(sequences: Codes, items: Factors, weights: Mapping[str, Factors], heads: int) -> Factors:
    """Vector of what comes after each row of items, which are numbered from 1; 0 before the first."""
    ends = np.zeros((len(sequences), items.shape[1]), dtype=np.float32)
    for start in range(0, len(sequences), USERS_AT_ONCE):
        some = sequences[start : start + USERS_AT_ONCE]
        longest = max(int((some > 0).sum(axis=1).max()), 1)
        ends[start : start + USERS_AT_ONCE] = _states(some[:, -longest:], items, weights, heads)[:, -1]
    return ends


def _states(sequences: Codes, items: Factors, weights: Mapping[str, Factors], heads: int) -> Factors:
    """Rows x places x width; the same sums as the network that was fitted, without what is left out at random."""
    rows, length = sequences.shape
    width = items.shape[1]
    before, itself = np.tri(length, dtype=np.bool_), np.eye(length, dtype=np.bool_)
    may_look = ((before & (sequences > 0)[:, None, :]) | itself)[:, None]

    def split(x: Factors) -> Factors:
        return x.reshape(rows, length, heads, -1).transpose(0, 2, 1, 3)

    x = items[sequences - 1] * np.float32(width**0.5) + weights["places"][-length:]
    for block in range(sum(name.endswith(".query") for name in weights)):
        normed = _norm(x, weights[f"{block}.norm_a"])
        query, key, value = (split(normed @ weights[f"{block}.{name}"]) for name in ("query", "key", "value"))
        near = np.where(may_look, query @ key.transpose(0, 1, 3, 2) / np.float32((width / heads) ** 0.5), -np.inf)
        odds = np.exp(near - near.max(axis=-1, keepdims=True))
        mixed = (odds / odds.sum(axis=-1, keepdims=True)) @ value
        x = x + mixed.transpose(0, 2, 1, 3).reshape(x.shape) @ weights[f"{block}.out"]
        wide = _norm(x, weights[f"{block}.norm_b"]) @ weights[f"{block}.wide"]
        x = x + (wide * (1 + scipy.special.erf(wide / np.sqrt(2))) / 2) @ weights[f"{block}.narrow"]
    return _norm(x, weights["norm"])


def _norm(x: Factors, scale: Factors) -> Factors:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + NORM_FLOOR) * scale
