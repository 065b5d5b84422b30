"""Compiled kernels: machine code that another version of Patron left is no reason to fail."""

import os
import subprocess
import sys

MODULE = """
from typing import NamedTuple
import numpy as np
from patron.schema.kernels import kernel

class {name}(NamedTuple):
    values: np.ndarray

@kernel()
def add_up(given):
    return given.values.sum()

print(add_up({name}(np.array([1.0, 2.0]))))
"""


def test_machine_code_of_an_earlier_version_whose_types_are_gone_is_compiled_again(tmp_path):
    file, values = tmp_path / "sums.py", {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    for name in ("Before", "Now", "Now"):
        file.write_text(MODULE.format(name=name))
        command = [sys.executable, "-c", "import sums"]
        done = subprocess.run(command, cwd=tmp_path, env=values, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("3.0\n", "")
    assert list((tmp_path / "kept").rglob("*.nbi"))
