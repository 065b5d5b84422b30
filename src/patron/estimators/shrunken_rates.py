"""Rates and means of groups, drawn to a prior that counts as so many rows: small groups stay near it."""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.schema.numbers import Numbers


def shrunk(total: Numbers, count: Numbers, prior: Numbers | float, prior_rows: float) -> Numbers:
    """Total over count, with `prior_rows` rows more that have the prior."""
    return (total + prior_rows * prior) / (count + prior_rows)


def shrunk_means(
    group: npt.NDArray[np.integer],
    label: Numbers,
    priors: npt.ArrayLike,
    prior_rows: float,
    *,
    weight: Numbers | None = None,
) -> Numbers:
    """Mean label of each group, 0 to the number of priors, drawn to its prior."""
    prior = np.asarray(priors, dtype=np.float64)
    counts = np.bincount(group, weights=weight, minlength=len(prior))
    sums = np.bincount(group, weights=label if weight is None else weight * label, minlength=len(prior))
    return shrunk(sums, counts, prior, prior_rows)


def means_by_name(
    names: pa.ChunkedArray | Iterable[str], label: Numbers, prior_rows: float, *, weight: Numbers | None = None
) -> tuple[float, dict[str, float]]:
    """The mean of all, and the mean of each name, drawn to it; a missing name counts as an empty one."""
    mean = float(np.average(label, weights=weight))
    known, place = _places(names)
    means = shrunk_means(place, label, np.full(len(known), mean), prior_rows, weight=weight)
    return mean, dict(zip(known, means.tolist(), strict=True))


def look_up(names: pa.ChunkedArray | Iterable[str], means: Mapping[str, float], otherwise: float) -> Numbers:
    """The mean of each row's name; `otherwise` for one that was never there."""
    known, place = _places(names)
    return np.array([means.get(name, otherwise) for name in known])[place]


def _places(names: pa.ChunkedArray | Iterable[str]) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The different names, and the position of each row's among them."""
    column = names if isinstance(names, pa.ChunkedArray) else pa.chunked_array([pa.array(names, pa.string())])
    encoded = column.cast(pa.string()).fill_null("").combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)
