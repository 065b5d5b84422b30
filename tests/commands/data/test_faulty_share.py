"""The share of faulty rows is of the files' rows, however many events each of them becomes."""

from datetime import UTC, datetime

import pytest

from patron.commands.data.import_files import import_files
from patron.schema.progress import silent

HEADER = (
    "Name,Email,Financial Status,Currency,Subtotal,Shipping,Taxes,Total,Discount Code,Discount Amount,Created at,"
    "Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Cancelled at,Refunded Amount,Source,"
    "Accepts Marketing\n"
)
ROW = "#{0},u{0}@x.org,paid,{1},9.00,0,0,9.00,,0,{2} 10:00:00 +0000,1,Cup,9.00,CUP,,0,web,yes\n"
SECOND_LINE = "#{0},u{0}@x.org,,,,,,,,,2023-01-01 10:00:00 +0000,1,Pot,9.00,POT,,,,\n"


@pytest.fixture
def bring(shop, tmp_path):
    def bring(content: str, mapping: str = "shopify"):
        path = tmp_path / "orders.csv"
        path.write_text(content)
        return import_files(shop, [str(path)], mapping, now=datetime(2024, 6, 1, tzinfo=UTC), progress=silent)

    return bring


def test_consents_of_the_same_orders_do_not_hide_that_a_share_of_them_is_lost(bring):
    orders = [ROW.format(n, "KRW" if n < 9 else "USD", "2023-01-01") + SECOND_LINE.format(n) for n in range(100)]
    done = bring(HEADER + "".join(orders))
    assert (done.read, done.row_count, done.faulty_row_count) == (200, 100, 9)
    assert "9 of 100 rows (9.0%) are faulty" in done.failure


def test_a_row_that_is_faulty_as_an_order_and_as_a_consent_is_one(bring):
    orders = [ROW.format(n, "USD", "someday" if n < 4 else "2023-01-01") for n in range(100)]
    done = bring(HEADER + "".join(orders))
    assert (done.rejected, done.row_count, done.faulty_row_count, done.failure) == (8, 100, 4, "")


def test_lines_that_cannot_be_read_are_rows_and_are_faulty(bring):
    orders = "".join(ROW.format(n, "USD", "2023-01-01") for n in range(9)) + "#9,too,short\n"
    done = bring(HEADER + orders)
    assert (done.row_count, done.faulty_row_count) == (10, 1)
    assert "1 of 10 rows (10.0%) are faulty" in done.failure


def test_messages_are_rows_of_their_file(bring):
    message = (
        '{{"type":"track","event":"Consent Given","userId":"u{0}","messageId":"m{0}",'
        '"timestamp":"2023-01-01T10:00:00Z","properties":{{"purpose":"marketing"}}}}\n'
    )
    done = bring("".join(message.format(n) for n in range(9)) + "{}\n", "segment")
    assert (done.row_count, done.faulty_row_count) == (10, 1)
