"""Arrays of numbers, and how a table's column becomes one."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Numbers = npt.NDArray[np.float64]


def float_column(table: pa.Table, name: str, missing: float = 0.0) -> Numbers:
    """A numeric column as float64; NULL becomes `missing`."""
    values = table[name].cast(pa.float64()).combine_chunks().fill_null(missing)
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
