"""Every way into a workspace: what five clients send, imports over HTTP, and files of each format."""

import csv
import gzip
import json
import random
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyarrow as pa
import pyarrow.parquet as pq
from tests.support.personal_values import KEYS, KINDS, Case, needle_of

from patron.collect.files.file_import import import_files
from patron.collect.sensors_data import sensors_json
from patron.commands.access.manage_keys import create_key
from patron.govern.access.request_context import RequestContext
from patron.schema.data.raw_events import RAW_EVENTS, raw_events_table
from patron.service.collector import BATCH, HISTORY, SENSORS, Collector
from patron.storage.shop import Shop

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Messages = list[dict[str, Any]]
BATCH_MESSAGES = 500


def segment_python(messages: Messages) -> Messages:
    """As Segment's library for Python sends them."""
    return [
        message
        | {"integrations": message.get("integrations", {}), "context": message["context"] | library("analytics-python")}
        for message in messages
    ]


def segment_node(messages: Messages) -> Messages:
    """As Segment's library for Node sends them."""
    return [
        message
        | {"_metadata": {"nodeVersion": "22"}, "context": message["context"] | library("@segment/analytics-node")}
        for message in messages
    ]


def rudder_python(messages: Messages) -> Messages:
    """As RudderStack's library for Python sends them."""
    return [
        message | {"channel": "server", "context": message["context"] | library("analytics-python")}
        for message in messages
    ]


def rudder_node(messages: Messages) -> Messages:
    """As RudderStack's library for Node sends them."""
    return [
        message
        | {
            "originalTimestamp": message["timestamp"],
            "channel": "server",
            "context": message["context"] | library("analytics-node"),
        }
        for message in messages
    ]


def library(name: str) -> dict[str, Any]:
    return {"library": {"name": name, "version": "1.0"}}


def send_batches(shop: Shop, messages: Messages, kind: str, secret: str) -> None:
    """Hand batches to a collector of the workspace as the server does."""
    collector = Collector(shop)
    collector.start()
    for start in range(0, len(messages), BATCH_MESSAGES):
        body = json.dumps({"batch": messages[start : start + BATCH_MESSAGES]}).encode()
        collector.receive(body, kind, sender=collector.admit(secret, kind, now=NOW), received_at=NOW).counts.result()
    collector.stop()


def send_sensors(shop: Shop, messages: Messages, secret: str) -> None:
    """Hand over forms as Sensors Data's clients send them."""
    collector = Collector(shop)
    collector.start()
    listed = [sensors_message(message) for message in messages]
    for start in range(0, len(listed), BATCH_MESSAGES):
        packed = gzip.compress(json.dumps(listed[start : start + BATCH_MESSAGES]).encode())
        body = sensors_json(urlencode({"data_list": b64encode(packed).decode(), "gzip": "1"}).encode())
        collector.receive(
            body, SENSORS, sender=collector.admit(secret, SENSORS, now=NOW), received_at=NOW
        ).counts.result()
    collector.stop()


def sensors_message(sent: dict[str, Any]) -> dict[str, Any]:
    """The same content in their words."""
    base = {"distinct_id": sent.get("userId") or sent.get("anonymousId"), "time": 1772366340000}
    if sent["type"] == "identify":
        traits = {**sent["context"].get("traits", {}), "$is_login_id": True}
        return base | {"type": "profile_set", "properties": traits}
    context = {f"${key}": value for key, value in sent["context"].items() if isinstance(value, str)}
    return base | {"type": "track", "event": sent["event"], "properties": sent["properties"] | context}


def write_rows(folder: Path, rng: random.Random, keys: Sequence[str]) -> tuple[list[dict[str, str]], Path, list[str]]:
    """Rows of a shop's own export, a mapping for them, and the personal values in them.

    Each kind has a row with its values under all of these keys; where the mapping declares columns plain, a row of each
    kind that has a form.
    """
    plain = ("order_no", "article", "title", "group", "maker", "voucher", "plain_shelf", "plain_till")
    rows = []
    for number, kind in enumerate(KINDS):
        row = {"customer": f"c{number}", "day": "2026-02-01", "price": "19.90"} | {key: kind.make(rng) for key in keys}
        rows.append(row | {column: kind.make(rng) if kind.has_form else f"{column} 1" for column in plain})
    values = [
        needle_of(row[column])
        for number, row in enumerate(rows)
        for column in (*keys, *plain)
        if column in keys or KINDS[number].has_form
    ]
    mapping = folder / "shop.toml"
    columns = {"order_id": "order_no", "product_id": "article", "product_name": "title", "category": "group"}
    columns |= {"brand": "maker", "coupon": "voucher", "user_id": "customer", "occurred_at": "day", "price": "price"}
    lines = ['name = "shop"', "[[part]]", 'name = "sales"', 'event = "Order Line Completed"', "[part.columns]"]
    lines += [f'{name} = "{column}"' for name, column in columns.items()] + [
        'quantity = {value = "1"}',
        "[part.properties]",
    ]
    lines += [f'{key} = "{key}"' for key in keys] + [
        f'{name} = {{column = "{name}", plain = true}}' for name in ("plain_shelf", "plain_till")
    ]
    lines += ["[part.traits]", *(f'{key} = "{key}"' for key in keys[:20]), 'country = "plain_shelf"']
    mapping.write_text("\n".join(lines), encoding="utf-8")
    return rows, mapping, values


def import_rows(shop: Shop, folder: Path, rng: random.Random, kind: str, keys: Sequence[str]) -> list[str]:
    """Import rows as CSV, JSON lines or Parquet; return the personal values in them."""
    rows, mapping, values = write_rows(folder, rng, keys)
    file = folder / f"sales.{kind}"
    if kind == "csv":
        with file.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(rows), file)
    result = import_files(shop, [str(file)], mapping=mapping, received_at=NOW)
    assert (result.stored, result.rejected) == (len(rows), 0)
    return values


def import_messages(shop: Shop, folder: Path, messages: Messages) -> None:
    """Import messages from a file of JSON lines."""
    file = folder / "messages.jsonl"
    file.write_text("".join(json.dumps(message) + "\n" for message in messages), encoding="utf-8")
    import_files(shop, [str(file)], mapping="segment", received_at=NOW)


def import_raw_events(shop: Shop, folder: Path, messages: Messages) -> None:
    """Import a file of raw events whose objects hold whatever was sent."""
    rows = []
    for sent in messages:
        row = {"event_id": sent["messageId"], "name": sent["event"], "occurred_at": NOW, "user_id": sent.get("userId")}
        properties = sent["properties"]
        row |= {
            name: properties[name]
            for name in ("order_id", "product_id", "category")
            if isinstance(properties.get(name), str)
        }
        row |= {"properties": json.dumps(properties), "traits": json.dumps(sent["context"].get("traits", {}))}
        rows.append(row)
    table = raw_events_table(rows).select(RAW_EVENTS.names)
    pq.write_table(table, folder / "raw.parquet")
    import_files(shop, [str(folder / "raw.parquet")], mapping="patron", received_at=NOW)


CLIENTS: dict[str, Callable[[Messages], Messages]] = {
    "segment python": segment_python,
    "segment node": segment_node,
    "rudder python": rudder_python,
    "rudder node": rudder_node,
}
WAYS = (*CLIENTS, "sensors", "http import", "segment file", "raw events", "csv", "jsonl", "parquet")


def bring_in(
    shop: Shop, way: str, cases: Sequence[Case], folder: Path, rng: random.Random, keys: Sequence[str] = KEYS
) -> list[str]:
    """Bring cases in one way, rows of files under these keys; return the values to look for."""
    folder.mkdir(parents=True, exist_ok=True)
    if way in {"csv", "jsonl", "parquet"}:
        return import_rows(shop, folder, rng, way, keys)
    messages = [case.message(number) for number, case in enumerate(cases)]
    for number, one in enumerate(messages):
        if one["messageId"] == f"m{number}":
            one["messageId"] = f"{way} {number}"
    if way == "segment file":
        import_messages(shop, folder, messages)
    elif way == "raw events":
        import_raw_events(shop, folder, messages)
    else:
        secret = create_key(RequestContext.from_name(shop, now=NOW), source=way.replace(" ", "-"), kind="secret").key
        if way == "sensors":
            send_sensors(shop, messages, secret)
        else:
            send_batches(shop, CLIENTS.get(way, list)(messages), HISTORY if way == "http import" else BATCH, secret)
    return [case.needle for case in cases]
