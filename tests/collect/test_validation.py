import pytest
import sqlalchemy as sa

from patron.collect.file_import import import_files
from patron.schema.errors import BadFile, BadMapping
from patron.schema.tables import EVENTS
from patron.storage.store import DEAD_LETTERS

MAPPING = """
name = "mine"
[[part]]
name = "orders"
event = "Order Line Completed"
[part.columns]
user_id = "who"
occurred_at = "at"
quantity = "qty"
price = "price"
currency = "cur"
"""
HEADER = "who,at,qty,price,cur\n"


@pytest.fixture
def bring(shop, tmp_path, received_at):
    def bring(content: bytes | str, name: str = "f.csv", mapping: str = MAPPING, **options):
        (tmp_path / "mine.toml").write_text(mapping)
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return import_files(shop, [str(path)], mapping=tmp_path / "mine.toml", received_at=received_at, **options)

    return bring


def dead_letters(shop) -> list:
    with shop.store.begin() as connection:
        columns = (DEAD_LETTERS.c.row_number, DEAD_LETTERS.c.reason, DEAD_LETTERS.c.message)
        return connection.execute(sa.select(*columns).order_by(DEAD_LETTERS.c.row_number)).all()


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("", "f.csv", "f.csv: the file is empty"),
        (HEADER, "f.csv", "has a header but no rows"),
        ("who,at,qty\na,2024-01-01,1\n", "f.csv", "the columns cur, price are missing; found who, at, qty"),
        (HEADER.encode() + b"J\xfcrgen,2024-01-01,1,1,\n", "f.csv", "is not written in utf-8"),
        (b"PAR1 nothing", "f.parquet", "f.parquet: cannot be read"),
        ("who,who\na,b\n", "f.csv", "repeats names"),
    ],
)
def test_a_file_that_does_not_fit_its_mapping_is_rejected_before_anything_is_stored(
    shop, bring, content, name, message
):
    with pytest.raises(BadFile, match=message) as caught:
        bring(content, name)
    assert caught.value.todo
    assert not shop.lake.exists(EVENTS)


def test_a_file_that_does_not_exist_is_named(shop, received_at):
    with pytest.raises(BadFile, match=r"nowhere.csv: there is no such file"):
        import_files(shop, ["nowhere.csv"], mapping="cdnow", received_at=received_at)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("name = ", "is not a valid mapping"),
        ("name = 'x'", "at least one"),
        ("nam = 'x'", "unknown keys nam"),
        (MAPPING.replace("price =", "cost ="), "unknown columns cost"),
        (MAPPING.replace('occurred_at = "at"', ""), "has no occurred_at"),
        (MAPPING.replace('"price"', '{sql = "price +"}'), "is not SQL"),
        (MAPPING.replace('"price"', '{sql = "(select 1 from secrets)"}'), "reads a table"),
    ],
)
def test_a_mapping_that_cannot_be_used_says_why(bring, mapping, message):
    with pytest.raises(BadMapping, match=message):
        bring(HEADER + "a,2024-01-01,1,1,\n", mapping=mapping)


def test_each_bad_row_is_kept_with_its_reason_and_the_others_are_stored(shop, bring):
    rows = [
        "a,2024-01-01,1,1.50,",
        "b,not a day,1,1,",
        "c,2024-01-01,-2,1,",
        "d,2024-01-01,1,1,XYZ",
        ",2024-01-01,1,1,",
        "f,2024-01-01,1,cheap,",
        "g,2024-01-01,1.5,1,",
        "h,,1,1,",
        "i,0024-01-01,1,1,",
        "j,2024-01-01,1,-1,",
    ]
    summary = bring(HEADER + "\n".join(rows) + "\n")
    assert (summary.read, summary.stored, summary.rejected) == (10, 1, 9)
    assert [(number, reason) for number, reason, _ in dead_letters(shop)] == [
        (2, "bad_time"),
        (3, "negative_quantity"),
        (4, "unknown_currency"),
        (5, "missing_id"),
        (6, "bad_number"),
        (7, "bad_quantity"),
        (8, "missing_time"),
        (9, "impossible_time"),
        (10, "negative_amount"),
    ]
    messages = [message for _, _, message in dead_letters(shop)]
    assert messages[0].startswith("at is not a time")
    assert "refunds" in messages[1]
    assert messages[4].startswith("price is not a number")


def test_a_row_of_another_width_is_a_dead_letter(shop, bring):
    summary = bring(HEADER + "a,2024-01-01,1,1,\nb,2024-01-01,1\nc,2024-01-01,1,1,\n")
    assert (summary.read, summary.stored, summary.rejected) == (3, 2, 1)
    assert dead_letters(shop)[0].reason == "bad_row"


def test_any_delimiter_and_encoding_is_read(bring):
    text = HEADER.replace(",", "\t") + "Jürgen\t2024-01-01\t1\t1\t\n"
    assert bring(text.encode("utf-16"), encoding="utf-16").stored == 1
    assert bring(("\ufeff" + text).encode()).stored == 0


def test_json_lines_are_read_by_the_same_mapping(shop, bring):
    rows = '{"who": 7, "at": "2024-01-01T10:00:00+02:00", "qty": 2, "price": 1.5, "cur": null}\n{broken\n'
    summary = bring(rows, "f.jsonl")
    assert (summary.read, summary.stored, summary.rejected) == (2, 1, 1)
    [event] = shop.lake.read(EVENTS).to_pylist()
    assert event["occurred_at"].isoformat() == "2024-01-01T08:00:00+00:00"
    assert event["price_cents"] == 150


def test_several_files_and_globs_are_one_import(shop, tmp_path, received_at, bring):
    bring(HEADER + "a,2024-01-01,1,1,\n")
    for n in (1, 2):
        (tmp_path / f"part{n}.csv").write_text(HEADER + f"x{n},2024-01-01,1,1,\n")
    summary = import_files(shop, [str(tmp_path / "part*.csv")], mapping=tmp_path / "mine.toml", received_at=received_at)
    assert (len(summary.files), summary.stored) == (2, 2)


def test_a_line_above_the_largest_amount_is_rejected_and_one_just_below_is_stored(shop, bring):
    done = bring(HEADER + "a,2024-01-01,1000000000,10,\na,2024-01-01,1000000000,10.01,\n")
    assert (done.stored, done.rejected) == (1, 1)
    assert [(number, reason) for number, reason, _ in dead_letters(shop)] == [(2, "too_large")]
