"""A campaign to 100,000 people by e-mail: rendered, signed (RSA-2048), handed to a local SMTP server, all on record.

    python benchmarks/campaigns/send_100k.py [--count 100000]

Sender and server share the machine. Wall time is that of `patron campaign send` from start to end; memory is the
sender's, looked at all the time, so that growth would show.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from mailing import mail_server, make_mailing, start_sender


def resident_mb(pid: int) -> float:
    """Memory that a process has in use."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as place:
        folder, taken = Path(place) / "shop", Path(place) / "recipients"
        with mail_server(taken) as port:
            make_mailing(folder, count, port).close()
            began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            sender, memory = start_sender(folder), []
            while sender.poll() is None:
                memory.append((time.perf_counter() - began, resident_mb(sender.pid)))
                time.sleep(0.5)
            wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
            summary = json.loads(sender.communicate()[0])
        received = taken.read_text(encoding="utf-8").split()
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{summary['sent_count']:,} sent, {summary['unknown_count']} unknown; exit code {sender.returncode}")
    print(f"received: {len(received):,}, by {len(set(received)):,} people")
    print(f"wall: {wall / 60:.1f} minutes, {count / wall:.0f} a second")
    print(f"processor of the sender: {processor:.0f} s, {processor / count * 1000:.2f} ms a message")
    for share in (0.25, 0.5, 0.75, 1.0):
        upto = [mb for at, mb in memory if at <= wall * share]
        print(f"memory until {share:.0%} of the time: at most {max(upto, default=0):.0f} MB")


if __name__ == "__main__":
    main()
