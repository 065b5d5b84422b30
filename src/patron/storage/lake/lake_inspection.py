"""Inspection of the lake: all that is damaged in a table, and how many rows its files should have."""

from pathlib import Path

import pyarrow as pa

from patron.schema.table_definition import Table
from patron.storage.lake.lake import Lake
from patron.storage.lake.lake_log import files_of


class Inspector(Lake):
    """A lake whose damage can be listed instead of refused."""

    def damaged_files(self, table: Table, *, pinned: int | None = None) -> dict[str, str]:
        """Files of the newest and of the pinned version that are not as they were written, each with its problem.

        Raises LakeDamaged when the log itself is damaged, WorkspaceError when the pinned version is gone.
        """
        # why: mostly the newest version is the pinned one, and to open it again takes as long as to verify its files
        commits = {self.verifier.verified_commit(table), self.verifier.verified_commit(table, pinned)}
        return self.verifier.damaged_files(
            table, {path for commit in commits if commit for path in files_of(self.path(table), commit)}
        )

    def row_counts(self, table: Table) -> dict[Path, tuple[int, int]]:
        """Rows of each file of the newest version: as the log says, and as the store says."""
        actions = pa.table(self._delta(table).get_add_actions(flatten=True))
        of_log = dict(zip(actions["path"].to_pylist(), actions["num_records"].to_pylist(), strict=True))
        of_store = self.record.files(table.name, of_log.keys())
        return {self.path(table) / path: (count, of_store[path].row_count) for path, count in of_log.items()}
