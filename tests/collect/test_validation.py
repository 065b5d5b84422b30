import pytest
import sqlalchemy as sa

from patron.collect.files.file_import import FileOptions, import_files
from patron.schema.data.dead_letter_reasons import FAULTS, REASONS, UNREADABLE
from patron.schema.errors import BadFile, BadMapping
from patron.schema.tables import EVENTS
from patron.storage.store.store import DEAD_LETTERS

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
        return import_files(
            shop, [str(path)], mapping=tmp_path / "mine.toml", received_at=received_at, options=FileOptions(**options)
        )

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
        ("nam = 'x'", "unknown key: nam.*Did you mean name"),
        (MAPPING.replace("price =", "cost ="), "unknown column of part .*: cost"),
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
        (3, "bad_time"),
        (4, "negative_quantity"),
        (5, "unknown_currency"),
        (6, "missing_id"),
        (7, "bad_number"),
        (8, "bad_quantity"),
        (9, "missing_time"),
        (10, "impossible_time"),
        (11, "negative_amount"),
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
    assert [(number, reason) for number, reason, _ in dead_letters(shop)] == [(3, "too_large")]


def test_a_row_is_named_by_the_line_on_which_it_begins(shop, bring):
    several = '"a\nb\n",2024-01-01,1,1,\n'
    bring(HEADER + several + "b,not a day,1,1,\n" + several + "c,2024-01-01\nd,2024-01-01,-1,1,\n")
    assert [(line, reason) for line, reason, _ in dead_letters(shop)] == [
        (5, "bad_time"),
        (9, "bad_row"),
        (10, "negative_quantity"),
    ]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("c,2024-01", "cut_off"),
        ('c,2024-01-01,"1,1', "cut_off"),
        ("c,2024-01\n", "bad_row"),
        ("c,2024-01-01,1,1,", None),
    ],
)
def test_a_last_line_that_is_cut_off_is_named(shop, bring, end, reason):
    done = bring(HEADER + "a,2024-01-01,1,1,\nb,2024-01-02,1,1,\n" + end)
    assert (done.line_count, done.rejected) == (4, 1 if reason else 0)
    assert [(line, found) for line, found, _ in dead_letters(shop)] == ([(4, reason)] if reason else [])


def test_the_last_json_line_that_is_cut_off_is_named(shop, bring):
    row = '{"who": "a", "at": "2024-01-01", "qty": 1, "price": 1, "cur": null}\n'
    bring(row + row[:30], "f.jsonl")
    assert [(line, reason) for line, reason, _ in dead_letters(shop)] == [(2, "cut_off")]


def test_each_line_that_a_stray_quotation_mark_swallows_counts_as_rejected(shop, bring):
    done = bring(HEADER + "a,2024-01-01,1,1,\n" + 'b,"2024-01-01,1,1,\n' + "c,2024-01-01,1,1,\n" * 20)
    assert (done.read, done.stored, done.rejected) == (22, 1, 21)
    assert [line for line, _, _ in dead_letters(shop)] == list(range(3, 24))


def test_a_message_names_the_order(shop, bring):
    bring(
        HEADER + "a,not a day,1,1,\n", mapping=MAPPING.replace('user_id = "who"', 'user_id = "who"\norder_id = "who"')
    )
    assert dead_letters(shop)[0].message.startswith("order a: at is not a time")


def test_each_reason_is_a_fault_or_leaves_a_row_out_on_purpose():
    on_purpose = {"not_a_sale", "stock_adjustment", "not_paid", "no_consent", "forgotten"}
    assert set(REASONS) - FAULTS == on_purpose
    assert set(UNREADABLE) < set(REASONS) >= FAULTS


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2023-01-01 10:00:00 -0500", "2023-01-01T15:00:00+00:00"),
        ("2023-01-01 10:00:00 +0200", "2023-01-01T08:00:00+00:00"),
        ("2023-01-01T10:00:00-05:00", "2023-01-01T15:00:00+00:00"),
        ("2023-01-01 10:00:00 UTC", "2023-01-01T10:00:00+00:00"),
        ("2023-01-01T10:00:00.123Z", "2023-01-01T10:00:00.123000+00:00"),
        ("2023-01-01 10:00", "2023-01-01T10:00:00+00:00"),
        ("2023-01-01", "2023-01-01T00:00:00+00:00"),
    ],
)
def test_times_are_read_as_shopify_and_others_write_them(shop, bring, written, utc):
    assert bring(HEADER + f"a,{written},1,1,\n").stored == 1
    [event] = shop.lake.read(EVENTS).to_pylist()
    assert event["occurred_at"].isoformat() == utc


def test_an_event_that_a_column_gives_and_nobody_knows_is_rejected(shop, bring):
    mapping = MAPPING.replace('event = "Order Line Completed"', 'event = {column = "cur"}').replace(
        'currency = "cur"', ""
    )
    assert mapping != MAPPING
    done = bring(HEADER + "a,2024-01-01,1,1,Page\nb,2024-01-01,1,1,Pages\n", mapping=mapping)
    assert (done.stored, done.rejected) == (1, 1)
    assert "cur is not an event of the mapping" in dead_letters(shop)[0].message
