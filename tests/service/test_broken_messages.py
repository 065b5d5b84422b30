"""A message that cannot be read is a dead letter like any other: nothing that reads dead letters trips over it."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest

from patron.answers.data.ingestion_status import dead_letters
from patron.collect.inbox.compaction import drain_inbox
from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.request import SourceRules, validate_batch
from patron.collect.sensors_data import validate_sensors
from patron.commands.data.import_files import replay
from patron.commands.data.trace import trace
from patron.commands.privacy.export import export_customer
from patron.commands.privacy.forget import forget
from patron.govern.access.request_context import RequestContext
from patron.schema.errors import NotFound
from patron.schema.progress import silent

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPEN = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=False)
GOOD = (
    rb'{"type": "track", "event": "Product Viewed", "userId": "u1", "messageId": "g1", "properties": {"product_id": 1}}'
)
BROKEN = (
    rb'{"type": "track", "event": "E", "userId": "u1", "messageId": "b1", "properties": {"a": "\ud800"}}',
    rb'{"type": "identify", "userId": "\udc00", "messageId": "b2", "traits": {"\ud83d": "\ud83d"}}',
    b'{"type": "track", "event": "E", "userId": "u1", "messageId": "b3", "properties": {"a": NaN}}',
    b'{"type": "track", "event": "E", "userId": "u1", "properties": {"a": ' + b"9" * 5_000 + b"}}",
    b"[" * 3_000 + b"]" * 3_000,
    b'{"type": "track", "event": "E", "userId": "u1", "messageId": "b4", "a": ' + b"[" * 3_000 + b"]" * 3_000 + b"}",
    b'{"type": "track", "event": "\xed\xa0\x80", "userId": "u1"}',
    b"no JSON",
)


@pytest.mark.parametrize("is_sensors", [False, True])
def test_what_reads_dead_letters_reads_broken_messages(shop, is_sensors):
    messages = b"[" + b", ".join([GOOD, *BROKEN]) + b"]"
    body = messages if is_sensors else b'{"batch": ' + messages + b"}"
    request = (validate_sensors if is_sensors else validate_batch)(body, "web", NOW, OPEN)
    assert sum(message.is_rejected for message in request.messages) >= len(BROKEN)
    good = validate_batch(b'{"batch": [' + GOOD + b"]}", "web", NOW, OPEN)
    inbox = open_inbox(shop)
    inbox.append([good, request])
    inbox.close()
    drain_inbox(shop)
    count = sum(letter.count for letter in dead_letters(shop))
    assert count >= len(BROKEN)
    assert replay(shop, "live", mapping=None, progress=silent, now=NOW).rejected == count
    assert trace(shop, "g1").steps
    for event_id in ("b1", "b2", "b4"):
        with suppress(NotFound):
            trace(shop, event_id)
    assert export_customer(RequestContext.from_name(shop, now=NOW), user_id="u1")["tables"]["events"]
    assert forget(RequestContext.from_name(shop, now=NOW), user_id="u1").erased["rows of events"] == 1
