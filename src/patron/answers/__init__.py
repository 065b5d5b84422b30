"""What people ask: frozen dataclasses read from tables, nothing else."""
