import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patron.collect.files.file_import import import_files
from patron.collect.loader import load_events
from patron.collect.replay import replay
from patron.govern.vault import Vault
from patron.schema.tables import EVENTS
from patron.storage.shop import Shop
from patron.storage.store.store import DEAD_LETTERS, IMPORTS

MAPPING = """
name = "mine"
time_zone = "Europe/Berlin"
[[part]]
name = "orders"
event = "Order Line Completed"
[part.columns]
user_id = "Customer"
order_id = "Order"
occurred_at = {column = "Date", format = "%d.%m.%Y %H:%M"}
quantity = "Qty"
price = "Price"
currency = "Cur"
[part.traits]
email = "Email"
"""
HEADER = "Customer;Order;Date;Qty;Price;Cur;Email\n"
GOOD = "kunde-17;o1;01.07.2023 12:00;2;1,005;;anna.schmidt@example.org\n"


@pytest.fixture
def mapping(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MAPPING.replace("time_zone =", "decimal_comma = true\ntime_zone ="))
    return path


def written(tmp_path, text, *, name="orders.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return [str(path)]


def events(shop) -> list[dict]:
    return shop.lake.read(EVENTS).to_pylist()


def dead_letters(shop) -> list:
    with shop.store.begin() as connection:
        return [dict(row) for row in connection.execute(sa.select(DEAD_LETTERS)).mappings()]


def test_a_row_becomes_an_event_with_tokens_in_utc_and_cents(shop, tmp_path, mapping, received_at):
    summary = import_files(shop, written(tmp_path, HEADER + GOOD), mapping=mapping, received_at=received_at)
    assert (summary.read, summary.stored, summary.duplicate, summary.rejected) == (1, 1, 0, 0)
    [event] = events(shop)
    assert event["occurred_at"].isoformat() == "2023-07-01T10:00:00+00:00"
    assert event["known_at"] == event["occurred_at"]
    assert event["received_at"] == received_at
    assert (event["quantity"], event["price_cents"], event["month"]) == (2, 100, "2023-07")
    assert Vault.open(shop).reveal([event["user_token"]]) == ["kunde-17"]
    [text] = Vault.open(shop).texts([event["user_token"]])
    assert text["text"] == '{"email":"anna.schmidt@example.org"}'


def test_no_plain_identifier_is_in_any_byte_of_the_workspace(shop, tmp_path, mapping, received_at):
    bad = "kunde-18;o2;gestern;1;1;;bert.bauer@example.org\n"
    import_files(shop, written(tmp_path, HEADER + GOOD + bad), mapping=mapping, received_at=received_at)
    for path in shop.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [w for w in (b"kunde-1", b"anna.schmidt", b"bert.bauer") if w in content], path


def test_importing_the_same_file_twice_stores_nothing_twice(shop, tmp_path, mapping, received_at):
    files = written(tmp_path, HEADER + GOOD * 3)
    assert import_files(shop, files, mapping=mapping, received_at=received_at).stored == 3
    again = import_files(shop, files, mapping=mapping, received_at=received_at)
    assert (again.stored, again.duplicate) == (0, 3)
    with shop.store.begin() as connection:
        assert connection.scalar(sa.select(IMPORTS.c.duplicate_count)) == 3


row = st.tuples(st.sampled_from(["a", "b", ""]), st.integers(-1, 3), st.sampled_from(["1", "2,5", "x"]))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(row, min_size=1, max_size=12), data=st.data())
def test_a_longer_regrouped_export_stores_only_what_is_new(tmp_path_factory, monkeypatch, received_at, rows, data):
    folder = tmp_path_factory.mktemp("w")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    shop = Shop.create(folder / "w")
    mapping = folder / "mine.toml"
    mapping.write_text("decimal_comma = true\n" + MAPPING)
    lines = [f"{who};o;01.07.2023 12:00;{qty};{price};;\n" for who, qty, price in rows]
    first = data.draw(st.integers(0, len(lines) - 1))
    longer = data.draw(st.permutations(lines))
    total = 0
    for text in (lines[: first + 1], longer, lines):
        files = written(folder, HEADER + "".join(text))
        summary = import_files(shop, files, mapping=mapping, received_at=received_at)
        assert summary.read == len(text) == summary.stored + summary.duplicate + summary.rejected
        total += summary.stored
    good = [line for line, (who, qty, price) in zip(lines, rows, strict=True) if who and qty >= 0 and price != "x"]
    assert total == len(good) == (len(events(shop)) if good else 0)
    shop.close()


def test_an_event_in_a_currency_without_a_rate_is_rejected_until_there_is_one(shop, tmp_path, mapping, received_at):
    files = written(tmp_path, HEADER + GOOD.replace(";;", ";EUR;"))
    summary = import_files(shop, files, mapping=mapping, received_at=received_at)
    [letter] = dead_letters(shop)
    assert letter["reason"] == "unknown_currency"
    assert "no rate for EUR" in letter["message"]
    settings_file = shop.folder / "patron.toml"
    settings_file.write_text(settings_file.read_text().replace("# EUR = 1.08", "EUR = 1.08"))
    fixed = Shop.open(shop.folder)
    counts = replay(fixed, summary.import_id, received_at=received_at, mapping=mapping)
    assert (counts.stored, counts.rejected) == (1, 0)
    assert dead_letters(fixed) == []
    assert import_files(fixed, files, mapping=mapping, received_at=received_at).duplicate == 1
    fixed.close()


def test_replaying_a_row_that_is_still_bad_keeps_its_dead_letter(shop, tmp_path, mapping, received_at):
    files = written(tmp_path, HEADER + GOOD.replace("01.07.2023 12:00", "2023-07-01"))
    summary = import_files(shop, files, mapping=mapping, received_at=received_at)
    counts = replay(shop, summary.import_id, received_at=received_at, mapping=mapping)
    assert (counts.read, counts.rejected, len(dead_letters(shop))) == (1, 1, 1)
    mapping.write_text(mapping.read_text().replace('"%d.%m.%Y %H:%M"', '["%d.%m.%Y %H:%M", "%Y-%m-%d"]'))
    assert replay(shop, summary.import_id, received_at=received_at, mapping=mapping).stored == 1
    assert dead_letters(shop) == []


def test_raw_events_are_known_when_received_if_live(shop, received_at):
    raw_events = pa.table(
        {"event_id": ["a", "a"], "name": ["Page"] * 2, "occurred_at": [received_at] * 2, "user_id": ["u"] * 2}
    )
    later = received_at.replace(month=7)
    counts = load_events(shop, raw_events, source="web", known="received", received_at=later)
    assert (counts.stored, counts.duplicate) == (1, 1)
    assert events(shop)[0]["known_at"] == later
    counts_of_app = load_events(shop, raw_events, source="app", known="received", received_at=later)
    assert counts_of_app.stored == 1


def test_an_import_killed_before_the_lake_commit_is_finished_by_the_next(
    shop, tmp_path, mapping, received_at, monkeypatch
):
    files = written(tmp_path, HEADER + GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(type(shop.lake), "append", lambda *_a, **_k: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            import_files(shop, files, mapping=mapping, received_at=received_at)
    assert import_files(shop, files, mapping=mapping, received_at=received_at).stored == 1
    assert Vault.open(shop).reveal([events(shop)[0]["user_token"]]) == ["kunde-17"]
