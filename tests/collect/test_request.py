import gzip
import json
import zlib
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patron.collect.request import (
    MAX_BODY_BYTES,
    MAX_MESSAGES,
    SourceRules,
    inflate_body,
    validate_batch,
    validate_single,
)
from patron.collect.sensors_data import sensors_json, validate_sensors
from patron.collect.tracking_plan import load_tracking_plan
from patron.schema.errors import BadRequest, SettingsError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPEN = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=False)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = (
    "type",
    "event",
    "messageId",
    "userId",
    "anonymousId",
    "timestamp",
    "sentAt",
    "properties",
    "context",
    "traits",
)


def message(**changes):
    base = {"type": "track", "event": "Product Viewed", "messageId": "m1", "userId": "u1"}
    return base | {"timestamp": "2026-03-01T11:59:00Z", "properties": {"product_id": "p1"}} | changes


def only(*messages, rules=OPEN, **batch):
    return validate_batch(json.dumps({"batch": list(messages), **batch}).encode(), "web", NOW, rules).messages


def test_a_clock_that_runs_ahead_is_set_right_by_what_it_says_when_it_sends():
    ahead = {"timestamp": "2026-03-01T15:00:00Z", "sentAt": "2026-03-01T15:00:30Z"}
    (one,) = only(message(**ahead))
    assert one.row["occurred_at"] == NOW - timedelta(seconds=30)
    (original,) = only(message(timestamp=None, originalTimestamp=ahead["timestamp"]), sentAt=ahead["sentAt"])
    assert original.row["occurred_at"] == NOW - timedelta(seconds=30)


@pytest.mark.parametrize(
    "time", ["yesterday", "2031-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1987-01-01T00:00:00Z", -(10**17)]
)
def test_a_time_nobody_acted_at_gives_way_to_the_time_of_arrival_and_is_flagged(time):
    (one,) = only(message(timestamp=time))
    assert one.row["occurred_at"] == NOW
    assert one.row["flags"] == ["impossible_time"]


def test_imported_history_keeps_its_times():
    history = SourceRules(32_768, frozenset(), is_secret=False, is_history=True)
    (one,) = only(message(timestamp="1997-01-01T00:00:00Z"), rules=history)
    assert one.row["occurred_at"] == datetime(1997, 1, 1, tzinfo=UTC)
    assert one.row["flags"] is None


def test_what_the_batch_says_holds_for_each_of_its_messages():
    context = {"userAgent": "Mozilla/5.0 (iPhone) Mobile", "campaign": {"name": "spring"}}
    (one,) = only(message(context={"locale": "de-DE"}), context=context)
    assert (one.row["device"], one.row["campaign_id"]) == ("mobile", "spring")
    assert "de-DE" in one.row["properties"]


def test_a_bot_is_stored_and_flagged():
    (one,) = only(message(context={"userAgent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}))
    assert one.row["flags"] == ["bot"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (message(messageId="x" * 101), "messageId"),
        (message(userId=None), "both are missing"),
        (message(properties={"product_id": "p1", "price": "cheap"}), "properties.price"),
        (message(properties={"text": "x" * 40_000}), "bytes long"),
        (message(type="dance"), "type"),
        ("a text", "not a JSON object"),
        (None, "not a JSON object"),
        ([1, 2], "not a JSON object"),
    ],
)
def test_one_bad_message_is_a_dead_letter_and_the_rest_is_good(bad, reason):
    first, second, third = only(message(messageId="a"), bad, message(messageId="b"))
    assert reason in second.row["problem"]
    assert "payload" in second.row
    assert not first.is_rejected
    assert not third.is_rejected


def test_a_dead_letter_has_the_id_that_its_message_was_given_and_the_time_it_was_sent_with():
    (dead,) = only(
        message(messageId=None, properties={"currency": "EURO"}, timestamp="2026-03-01T11:00:00Z"),
        sentAt="2026-03-01T11:59:00Z",
    )
    line = json.loads(json.loads(dead.row["payload"])["line"])
    assert line["messageId"] == dead.event_id
    assert dead.event_id.startswith("derived-")
    assert line["timestamp"] == "2026-03-01T11:00:00Z"
    assert line["sentAt"] == "2026-03-01T11:59:00Z"


def test_a_message_nested_too_deep_to_be_read_or_written_is_a_dead_letter_and_the_rest_is_good():
    head = json.dumps(message(messageId="m2", properties={"currency": "EURO"}))[:-1].encode()
    for depth in (*range(850, 1_010), 9_000):  # around the limit, which the frames above count for
        deep = b'{"a":' * depth + b"1" + b"}" * depth
        body = b'{"batch":[' + head + b',"other":' + deep + b"}," + json.dumps(message()).encode() + b"]}"
        dead, good = validate_batch(body, "web", NOW, replace(OPEN, longest_event_bytes=len(body))).messages
        assert dead.is_rejected
        assert not good.is_rejected


def test_a_message_without_an_id_gets_the_same_id_on_a_retry():
    body = json.dumps(message(messageId=None)).encode()
    first, retry = (validate_single(body, "track", "web", NOW, OPEN).messages[0].event_id for _ in range(2))
    assert first == retry
    timeless = json.dumps(message(messageId=None, timestamp=None)).encode()
    one, other = (validate_single(timeless, "track", "web", NOW, OPEN).messages[0].event_id for _ in range(2))
    assert one != other


def test_events_that_move_money_may_ask_for_a_secret_key():
    order = message(event="Order Completed", properties={"order_id": "o1", "revenue": 10})
    (public,) = only(order, rules=SourceRules(32_768, frozenset({"Order Completed"}), is_secret=False))
    (secret,) = only(order, rules=SourceRules(32_768, frozenset({"Order Completed"}), is_secret=True))
    assert "secret key" in public.row["problem"]
    assert not secret.is_rejected


def test_the_tracking_plan_warns_or_refuses(tmp_path):
    (tmp_path / "tracking").mkdir()
    rule = {"required": ["price"], "properties": {"price": {"type": "number", "minimum": 0}}}
    (tmp_path / "tracking" / "Product Viewed.json").write_text(json.dumps(rule), encoding="utf-8")
    wrong = [message(properties={"price": "4 EUR"}), message(properties={}), message(properties={"price": 2})]
    warned = only(*wrong, rules=replace(OPEN, plan=load_tracking_plan(tmp_path, is_strict=False)))
    assert [one.row.get("flags") for one in warned if not one.is_rejected] == [["off_plan"], None]
    refused = only(*wrong, rules=replace(OPEN, plan=load_tracking_plan(tmp_path, is_strict=True)))
    assert [one.is_rejected for one in refused] == [True, True, False]
    assert "tracking plan" in refused[1].row["problem"]


def test_a_tracking_plan_that_is_not_a_valid_schema_is_refused_with_its_file(tmp_path):
    (tmp_path / "tracking").mkdir()
    (tmp_path / "tracking" / "Page.json").write_text('{"type": "shoe"}', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"Page\.json: is not a valid JSON Schema"):
        load_tracking_plan(tmp_path, is_strict=False)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {"$ref": "https://x.invalid/"}}},
        {"properties": {"price": {"anyOf": [{"$ref": "file:///etc/passwd"}]}}},
        {"$id": "https://shop.invalid/plan/", "properties": {"price": {"$ref": "price.json"}}},
        {"properties": {"price": {"$ref": "#/words/a"}}, "words": {"a": {"$dynamicRef": "http://127.0.0.1:9/b"}}},
        {"$ref": "#/$defs/absent"},
    ],
)
def test_a_tracking_plan_that_refers_to_another_place_is_refused_and_nothing_is_fetched(tmp_path, monkeypatch, schema):
    def fetch(*_):
        raise AssertionError("a schema was fetched")

    monkeypatch.setattr("urllib.request.urlopen", fetch)
    (tmp_path / "tracking").mkdir()
    (tmp_path / "tracking" / "Page.json").write_text(json.dumps(schema), encoding="utf-8")
    with pytest.raises(SettingsError, match=r"Page\.json: refers to .* Patron fetches no schema\. Copy that schema"):
        load_tracking_plan(tmp_path, is_strict=False)


def test_a_tracking_plan_may_refer_to_itself_but_not_without_end(tmp_path):
    (tmp_path / "tracking").mkdir()
    path = tmp_path / "tracking" / "Product Viewed.json"
    price = {"$anchor": "price", "type": "number", "minimum": 0}
    tree = {"$ref": "#/$defs/tree"}
    local = {
        "$defs": {"price": price, "tree": {"properties": {"child": tree}}},
        "properties": {"price": {"$ref": "#/$defs/price"}, "old": {"$ref": "#price"}, "child": tree},
    }
    path.write_text(json.dumps(local), encoding="utf-8")
    plan = load_tracking_plan(tmp_path, is_strict=False)
    assert plan.violation("Product Viewed", {"price": 1, "old": 2}) is None
    assert "breaks the rule minimum" in str(plan.violation("Product Viewed", {"old": -1}))
    deep: dict = {}
    for _ in range(900):
        deep = {"child": deep}
    assert "nested deeper" in str(plan.violation("Product Viewed", deep))
    path.write_text('{"$ref": "#"}', encoding="utf-8")
    with pytest.raises(SettingsError, match="refers to itself without end"):
        load_tracking_plan(tmp_path, is_strict=False)


def test_types_other_than_track_become_rows_too():
    alias, group, page = only(
        message(type="alias", previousId="visitor"),
        message(type="group", messageId="m2", groupId="g1", traits={"industry": "toys"}),
        message(type="page", messageId="m3", name="Home", properties={}),
    )
    assert (alias.row["name"], alias.row["anonymous_id"]) == ("Alias", "visitor")
    assert group.row["name"] == "Group"
    assert '"g1"' in group.row["properties"]
    assert page.row["name"] == "Page"
    assert "Home" in page.row["properties"]


def test_a_gzip_bomb_is_never_inflated_beyond_the_cap():
    bomb = gzip.compress(b" " * (MAX_BODY_BYTES * 50))
    assert len(bomb) < 300_000
    with pytest.raises(BadRequest, match="larger than") as refused:
        inflate_body(bomb)
    assert refused.value.status == 413


def test_a_request_of_too_many_messages_is_refused_before_they_are_validated():
    numbers = b"[" + b",".join([b"1"] * (MAX_MESSAGES + 1)) + b"]"
    with pytest.raises(BadRequest) as refused:
        validate_batch(b'{"batch": ' + numbers + b"}", "web", NOW, OPEN)
    with pytest.raises(BadRequest) as form_refused:
        validate_sensors(numbers, "cn", NOW, OPEN)
    assert refused.value.status == form_refused.value.status == 413


@pytest.mark.parametrize("raw", [b"\x1f\x8bnothing", gzip.compress(b"{}" * 99, mtime=0)[:-9], b"\x1f\x8b"])
def test_a_broken_gzip_is_refused(raw):
    with pytest.raises(BadRequest) as refused:
        inflate_body(raw, encoding="gzip")
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"[" * 100_000, b'{"batch": 5}', b'{"batch": [}', b"[]", b"{}", b"null"]
)
def test_a_body_that_is_not_a_batch_is_refused_whole(body):
    with pytest.raises(BadRequest) as refused:
        validate_batch(body, "web", NOW, OPEN)
    assert refused.value.status == 400


def test_bytes_that_are_not_text_and_null_characters_lose_no_good_event():
    """The one goes to the dead letters, the other loses its null character."""
    body = json.dumps(
        {"batch": [message(messageId="a", event="Caf\u00e9"), message(messageId="b\x00c")]}, ensure_ascii=True
    )
    broken = body.replace("Caf\\u00e9", "Caf\udcff").encode(errors="surrogateescape")
    first, second = validate_batch(inflate_body(broken), "web", NOW, OPEN).messages
    assert first.is_rejected
    assert second.row["event_id"] == "bc"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES))
def test_any_json_gets_a_verdict(fields):
    (one,) = validate_batch(json.dumps({"batch": [fields]}).encode(), "web", NOW, OPEN).messages
    assert one.is_rejected or one.row["event_id"]


@given(st.binary(max_size=200))
def test_any_bytes_get_an_answer(raw):
    refused, messages = None, []
    try:
        messages = validate_batch(inflate_body(raw), "web", NOW, OPEN).messages
    except BadRequest as error:
        refused = error.status
    assert refused in {None, 400, 413}
    assert all(one.is_rejected or one.row["event_id"] for one in messages)


def sensors(*sensor_messages, zipped=True):
    content = json.dumps(list(sensor_messages)).encode()
    packed = zlib.compressobj(wbits=31)
    data = packed.compress(content) + packed.flush() if zipped else content
    return urlencode({"data_list": b64encode(data).decode(), "gzip": int(zipped)}).encode()


@pytest.mark.parametrize("zipped", [True, False])
def test_every_message_of_the_sensors_form_becomes_a_row(zipped):
    common = {"distinct_id": "u1", "time": int(NOW.timestamp() * 1000) - 5_000}
    sensor_messages = [
        {"type": "track", "event": "ViewProduct", "properties": {"price": 9.5, "$is_login_id": True}, **common},
        {"type": "track", "event": "$pageview", "properties": {"$ip": "1.2.3.4"}, **common, "distinct_id": "visitor"},
        {"type": "track_signup", "original_id": "visitor", "properties": {}, **common},
        {"type": "profile_set", "properties": {"city": "Paris"}, **common},
        {"type": "profile_delete", "properties": {}, **common},
        {"type": "item_set", "item_type": "shoe", "item_id": "p1", "properties": {"price": 5}, "time": common["time"]},
    ]
    messages = validate_sensors(sensors_json(sensors(*sensor_messages, zipped=zipped)), "cn", NOW, OPEN).messages
    assert [one.row.get("problem") for one in messages] == [None] * 6
    names = ["ViewProduct", "Page", "Alias", "Identify", "Identify", "Product Updated"]
    assert [one.row["name"] for one in messages] == names
    assert (messages[0].row["user_id"], messages[1].row["anonymous_id"]) == ("u1", "visitor")
    assert (messages[2].row["user_id"], messages[2].row["anonymous_id"]) == ("u1", "visitor")
    assert messages[0].row["occurred_at"] == NOW - timedelta(seconds=5)


@pytest.mark.parametrize("body", [b"", b"data_list=%%%", b"data=bm8ganNvbg==", b"data_list=H4sI"])
def test_a_sensors_form_that_cannot_be_read_is_refused(body):
    with pytest.raises(BadRequest):
        validate_sensors(sensors_json(body), "cn", NOW, OPEN)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"&".join(b"a%d=1" % n for n in range(30)) + b"&data=e30=", 400),
        (urlencode({"data": b64encode(gzip.compress(b" " * 5 * MAX_BODY_BYTES, mtime=0)).decode()}).encode(), 413),
    ],
)
def test_a_sensors_form_that_is_too_much_is_refused_as_the_protocol_says(body, status):
    with pytest.raises(BadRequest) as refused:
        validate_sensors(sensors_json(body), "cn", NOW, OPEN)
    assert refused.value.status == status


def test_a_sensors_form_loses_its_null_characters_as_batches_do():
    sensor_message = {"type": "track", "event": "View\0Product", "distinct_id": "u1", "properties": {"a\0b": "c\0d"}}
    (one,) = validate_sensors(sensors_json(sensors(sensor_message)), "cn", NOW, OPEN).messages
    assert one.row["name"] == "ViewProduct"
    assert one.row["texts"] == '{"ab":"cd"}'


@pytest.mark.parametrize(
    ("url", "is_test"),
    [
        ("http://localhost:3000/cart", True),
        ("https://127.0.0.1/x", True),
        ("http://[::1]:80/", True),
        ("https://LOCALHOST", True),
        ("https://shop.example/localhost", False),
        ("https://localhost.shop.example/", False),
        ("localhost", False),
        (7, False),
    ],
)
def test_what_happens_on_a_developers_machine_is_test_traffic(url, is_test):
    rules = replace(OPEN, test_hosts=frozenset({"localhost", "127.0.0.1", "[::1]"}))
    (one,) = only(message(context={"page": {"url": url}}), rules=rules)
    assert ("test" in (one.row["flags"] or ())) == is_test


def test_bytes_that_are_not_utf_8_turn_nobody_into_somebody_else():
    body = json.dumps(message(userId="Muller")).encode().replace(b"u", b"\xfc")
    with pytest.raises(BadRequest, match="UTF-8"):
        validate_single(body, "track", "web", NOW, OPEN)
    batch = b'{"batch": [' + json.dumps(message()).encode() + b", " + body + b"]}"
    good, bad = validate_batch(batch, "web", NOW, OPEN).messages
    assert (good.is_rejected, bad.is_rejected) == (False, True)


def test_placeholder_ids_differ_from_missing_ones():
    (nobody, missing) = only(message(userId="undefined"), message(userId=None))
    assert "stand for nobody" in nobody.row["problem"]
    assert "both are missing" in missing.row["problem"]
