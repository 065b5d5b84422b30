"""Half an hour of mixed requests and events against a real server, and what its memory does.

`python benchmarks/recommenders/live_soak.py [MINUTES]` serves a small shop on a loopback port and sends requests and
events at a moderate rate: visitors that come once and such that come back, users, next pages, feedback and nonsense.
Each minute it prints how many were answered, the 99th percentile of the time, and the server's resident memory.
"""

import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "support"))
from recommending_shop import PRODUCT_COUNT, recommending_shop  # pyright: ignore[reportMissingImports] - of the tests

from patron.commands.access.manage_keys import create_key
from patron.govern.access.request_context import RequestContext

PORT, PER_SECOND = 8_397, 25


def main(minutes: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shop = recommending_shop(Path(folder) / "shop")
        keys = {
            kind: create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), kind, kind).key
            for kind in ("write", "secret")
        }
        shop.close()
        command = [
            sys.executable,
            "-m",
            "patron",
            "serve",
            "--workspace",
            str(Path(folder) / "shop"),
            "--port",
            str(PORT),
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:  # noqa: S603 - our program, with our arguments
            try:
                soak(server, keys, minutes)
            finally:
                server.terminate()


def soak(server: subprocess.Popen[bytes], keys: dict[str, str], minutes: float) -> None:
    rng, number = np.random.default_rng(0), 0
    with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=30) as client:
        wait_until_up(client, server)
        for minute in range(int(minutes)):
            end, seconds, statuses = time.perf_counter() + 60, [], {}
            while time.perf_counter() < end:
                number += 1
                begin = time.perf_counter()
                answer = one_request(client, keys, rng, number)
                seconds.append(time.perf_counter() - begin)
                statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
                time.sleep(max(1 / PER_SECOND - (time.perf_counter() - begin), 0))
            p99 = 1_000 * float(np.quantile(seconds, 0.99))
            print(f"minute {minute + 1:2}  {statuses}  p99 {p99:.0f} ms  {resident_mb(server.pid):.0f} MB", flush=True)


def one_request(client: httpx.Client, keys: dict[str, str], rng: np.random.Generator, number: int) -> httpx.Response:
    write, secret = ({"authorization": f"Bearer {keys[kind]}"} for kind in ("write", "secret"))
    visitor, product = f"v{number if rng.random() < 0.3 else rng.integers(300)}", f"p{rng.integers(PRODUCT_COUNT)}"
    match int(rng.integers(10)):
        case 0 | 1 | 2:
            return client.post("/api/recommendations", json={"anonymous_id": visitor}, headers=write)
        case 3:
            body = {"user_id": f"u{rng.integers(60)}", "scenario": "cart", "product_ids": [product, "unknown"]}
            return client.post("/api/recommendations", json=body, headers=secret)
        case 4:
            made = client.post("/api/recommendations", json={"anonymous_id": visitor}, headers=write).json()
            event = made["products"][int(rng.integers(len(made["products"])))]["event"]
            name = str(rng.choice(["Recommendation Shown", "Recommendation Clicked", "Recommendation Hidden"]))
            return track(client, write, name, event, visitor, number)
        case 5:
            made = client.post("/api/recommendations", json={"anonymous_id": visitor, "k": 4}, headers=write).json()
            return client.post("/api/recommendations", json={"next": made["next"], "k": 4}, headers=write)
        case 6:
            return client.post("/api/recommendations", json={"next": f"never was {number}"}, headers=write)
        case _:
            name = str(rng.choice(["Product Viewed", "Product Added", "Product Added to Wishlist"]))
            return track(client, write, name, {"product_id": product}, visitor, number)


def track(client: httpx.Client, key: dict, name: str, properties: dict, visitor: str, number: int) -> httpx.Response:
    message = {"event": name, "anonymousId": visitor, "messageId": f"m{number}", "properties": properties}
    return client.post("/v1/track", json=message, headers=key)


def wait_until_up(client: httpx.Client, server: subprocess.Popen[bytes]) -> None:
    for _ in range(120):
        if server.poll() is not None:
            break
        try:
            client.get("/health")
        except httpx.TransportError:
            time.sleep(0.5)
        else:
            return
    raise SystemExit("the server did not start")


def resident_mb(process: int) -> float:
    """Resident memory of a process, MB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1_024


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 30)
