"""One kind of arrays for kernels, so that each kernel is compiled once."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

REQUIREMENTS: tuple[Literal["C_CONTIGUOUS"], Literal["WRITEABLE"]] = ("C_CONTIGUOUS", "WRITEABLE")
"""Arrow's arrays cannot be written to, which is another type for a kernel."""


def kernel_array(values: Any, kind: type) -> npt.NDArray[Any]:
    """The values in one type, without gaps; a copy only where they are not so yet."""
    if type(values) is np.ndarray and values.dtype == kind and values.flags.carray:
        return values  # why: `require` says the same in ten times as long, which a short list is made in
    return np.require(values, dtype=kind, requirements=REQUIREMENTS)
