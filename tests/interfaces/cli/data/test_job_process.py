"""The process of a job leaves the processor to the server."""

import subprocess
import sys

import pytest

from patron.interfaces.cli.data.job_process import NICENESS, SESSION_PRIORITY

LOWERED = """
import os
from patron.interfaces.cli.data.job_process import SESSION_PRIORITY, lower_priority
lower_priority()
print(os.nice(0), SESSION_PRIORITY.read_text().split()[-1])
"""


@pytest.mark.skipif(not SESSION_PRIORITY.exists(), reason="only Linux gives sessions a priority")
def test_a_job_lowers_the_priority_of_its_session_too():
    """By `nice` alone it would take as much as the server and all of its processes together."""
    job = subprocess.run(
        [sys.executable, "-c", LOWERED], capture_output=True, text=True, check=True, start_new_session=True
    )
    assert job.stdout.split() == [str(NICENESS), str(NICENESS)]
