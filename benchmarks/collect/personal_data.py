"""Whether a personal value reaches the disk in clear: of any kind, under any key, in any place, through any way in.

Cases are made by tests/support/personal_values.py. With --full each goes through every way in, else messages take equal
shares of them; then come a run and a report, and every byte of the workspace, decoded, is searched for each value.

    python benchmarks/collect/personal_data.py [--full]
"""

import os
import random
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from tests.support.personal_values import KEYS, KINDS, PLACES, whole_product
from tests.support.ways_in import NOW, WAYS, bring_in
from tests.support.workspace_bytes import mentions, workspace_bytes

from patron.collect.inbox.compaction import drain_inbox
from patron.collect.inbox.workspace_inbox import inbox_position
from patron.interfaces.report.html_report import write_report
from patron.run import run_loop
from patron.storage.shop import Shop
from patron.understand.profiles.profile_writer import rebuild_profiles

IS_FULL = "--full" in sys.argv
FILES_OF_ROWS = {"csv", "jsonl", "parquet"}


def main() -> None:
    rng = random.Random(1)  # noqa: S311 - no secret
    cases = list(whole_product(rng))
    rng.shuffle(cases)
    ways = [way for way in WAYS if way not in FILES_OF_ROWS]
    print(f"{len(KINDS)} kinds, {len(KEYS)} keys, {len(PLACES)} places: {len(cases):,} cases; {len(WAYS)} ways in")
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CONFIG_HOME"] = str(Path(place) / "config")
        shop, values = Shop.create(Path(place) / "shop"), set()
        for number, way in enumerate(WAYS):
            since = time.perf_counter()
            share = cases if IS_FULL or way in FILES_OF_ROWS else cases[number % len(ways) :: len(ways)]
            brought = bring_in(shop, way, share, Path(place) / way, rng)
            drain_inbox(shop)
            values |= set(brought)
            print(f"{way:>16}: {len(brought):>9,} values in {time.perf_counter() - since:6.1f} s", flush=True)
        rebuild_profiles(shop, inbox_position(shop))
        run_loop(shop, NOW + timedelta(days=1))
        write_report(shop, shop.folder / "report.html")
        size = sum(len(content) for _, content in workspace_bytes(shop))
        clear = mentions(shop, values)
        print(f"{len(values):,} different values looked for in {size:,} bytes: {len(clear)} in clear")
        for value, places in list(clear.items())[:20]:
            print(f"   {value!r}: {places[:3]}")
        shop.close()
        assert not clear


if __name__ == "__main__":
    main()
