"""Time of importing Complete Journey, twice: all new, then all duplicates; rows a second and peak memory."""

import os
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from patron.collect.files.file_import import import_files
from patron.storage.shop import Shop


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CONFIG_HOME"] = f"{folder}/config"
        shop = Shop.create(Path(folder) / "w")
        for what in ("new", "again"):
            start = time.perf_counter()
            done = import_files(shop, [], mapping="completejourney", received_at=datetime(2024, 1, 1, tzinfo=UTC))
            seconds = time.perf_counter() - start
            peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{what}: {done.read:,} rows, {done.stored:,} stored, {done.duplicate:,} duplicate, "
                f"{done.rejected:,} rejected, {seconds:.1f} s, {done.read / seconds:,.0f} rows/s, "
                f"peak {peak_mb:,.0f} MB"
            )
        shop.close()


if __name__ == "__main__":
    main()
