"""Patron: the open customer lifetime value platform for online shops."""

import os

# why: idle OpenMP threads spin by default; beside another process on the same cores that makes a run five times slower
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.3.0.dev0"
