"""Ids and groups as whole numbers, for rankings of many customers at once."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Codes = npt.NDArray[np.int64]


def encoded(values: pa.ChunkedArray) -> pa.DictionaryArray:
    """Number the texts that occur, in order of appearance; of a column that is numbered already, in its order."""
    if not pa.types.is_dictionary(values.type):
        return values.cast(pa.string()).combine_chunks().dictionary_encode()
    whole = values.combine_chunks()
    count = len(whole.dictionary)
    places = np.asarray(whole.indices.fill_null(count).to_numpy(zero_copy_only=False), dtype=np.int64)
    used = np.bincount(places, minlength=count + 1)[:count] > 0
    number = np.append(np.cumsum(used) - 1, 0)[places]
    indices = pa.array(number, pa.int32(), mask=places == count)
    return pa.DictionaryArray.from_arrays(indices, whole.dictionary.filter(pa.array(used)))


def numbers_of(values: pa.Array, known: pa.Array) -> Codes:
    """Place of each text in `known`; -1 where it is not there."""
    return np.asarray(pc.index_in(values, known).fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


def distinct(codes: Codes) -> Codes:
    """Each number once, ascending. `np.unique` hashes, which takes ten times as long for a million of them."""
    ordered = np.sort(codes)
    return ordered[np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))]


def places(groups: npt.NDArray[np.int64]) -> Codes:
    """Place of each row within its run of equal groups, from 1."""
    starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]])) if len(groups) else np.array([], int)
    lengths = np.diff([*starts.tolist(), len(groups)])
    return np.arange(len(groups)) - np.repeat(starts, lengths) + 1
