"""Assignment of customers to arms by a hash of their ids: the same again on any machine, whatever the order."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.experiments.experiment_table import Codes
from patron.schema.errors import BadExperiment
from patron.schema.numbers import Numbers

BITS = 53
"""Of a hash, as many as a float holds."""


@dataclass(frozen=True)
class Layer:
    """Experiments that exclude each other: each customer is in at most one of them.

    Layers do not know each other: a customer may be in one experiment of each.
    """

    name: str
    shares: Mapping[str, float]
    """Share of all customers of each experiment, together at most 1; the rest is free for later ones.

    Experiments take their shares in this order: append new ones, and leave the share of an ended one in its place.
    """

    def __post_init__(self) -> None:
        """Refuse shares that cannot be. Raises BadExperiment."""
        shares = _shares(self.shares, "layer")
        if shares.sum() > 1 + 1e-9:
            what = f"the shares of layer {self.name} add up to {shares.sum():g}, which is above 1"
            raise BadExperiment(what, where="layer", todo="End an experiment first, or shrink one.")

    def holds(self, experiment: str, ids: Any, *, salt: str = "") -> npt.NDArray[np.bool_]:
        """Which customers are in an experiment of the layer, in the order of ids. Raises BadExperiment."""
        names = tuple(self.shares)
        if experiment not in names:
            what = f"{experiment} is not in layer {self.name}"
            raise BadExperiment(what, where="layer", todo=f"Its experiments are {', '.join(names)}.")
        ends = np.cumsum(_shares(self.shares, "layer"))
        place = names.index(experiment)
        start = ends[place - 1] if place else 0.0
        point = hash_points(ids, salt, f"layer {self.name}")
        return (start <= point) & (point < ends[place])


def assign(
    experiment: str, ids: Any, *, weights: Mapping[str, float], salt: str = "", layer: Layer | None = None
) -> npt.NDArray[np.object_]:
    """Arm of each customer in the order of ids; None outside the experiment's part of a layer.

    Args:
        experiment: Name; other names give independent assignments.
        ids: Texts or whole numbers, an array of any kind; 7 and "7" are the same customer.
        weights: Share of each arm, of any sum; an arm of share 0 gets nobody.
        salt: Secret of the shop, so that nobody can choose an id for an arm.
        layer: The experiments that this one excludes.

    An arm depends on the salt, the experiment, the id and the weights only: ids can come and go. Raises BadExperiment.
    """
    shares = _shares(weights, "weights")
    if shares.sum() <= 0:
        raise BadExperiment("all are 0", where="weights", todo="Give an arm a share above 0.")
    codes = np.searchsorted(np.cumsum(shares) / shares.sum(), hash_points(ids, salt, experiment), side="right")
    last = int(np.flatnonzero(shares)[-1])  # why: rounding can leave a sliver below 1 after the last arm
    names = np.empty(len(shares), dtype=np.object_)
    names[:] = list(weights)
    arms = names[np.minimum(codes, last)]
    if layer is not None:
        arms[~layer.holds(experiment, ids, salt=salt)] = None
    return arms


def hash_points(ids: Any, salt: str, purpose: str) -> Numbers:
    """A number in [0, 1) for each id, as if drawn uniformly; independent for another salt or purpose.

    BLAKE2b of the lengths and texts of salt and purpose, then of the id; its first 53 bits.
    """
    start = hashlib.blake2b(f"{len(salt)} {salt}{len(purpose)} {purpose}".encode(), digest_size=8)

    def first_bits(text: str) -> int:
        one = start.copy()
        one.update(text.encode())
        return int.from_bytes(one.digest(), "big") >> (64 - BITS)

    texts = _texts(ids)
    bits: Codes = np.fromiter(map(first_bits, texts), dtype=np.int64, count=len(texts))
    return bits / 2.0**BITS


def _texts(ids: Any) -> list[str]:
    try:
        column = ids if isinstance(ids, pa.Array | pa.ChunkedArray) else pa.array(ids)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise BadExperiment(f"not texts or whole numbers: {error}", where="ids") from error
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count:
        raise BadExperiment(f"{column.null_count:,} are missing", where="ids", todo="Every customer needs an id.")
    kind = column.type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if not is_text and not pa.types.is_integer(kind) and len(column):
        raise BadExperiment(f"not texts or whole numbers, but {kind}", where="ids", todo="Write ids as texts.")
    return column.to_pylist() if is_text else [str(one) for one in column.to_pylist()]


def _shares(weights: Mapping[str, float], where: str) -> Numbers:
    if not weights:
        raise BadExperiment("there are none", where=where, todo="Give each arm a share.")
    shares = np.array([float(weight) for weight in weights.values()])
    wrong = [name for name, one in zip(weights, shares, strict=True) if not (np.isfinite(one) and one >= 0)]
    if wrong:
        raise BadExperiment(
            f"the share of {wrong[0]} is {weights[wrong[0]]}", where=where, todo="Shares are 0 or more."
        )
    return shares
