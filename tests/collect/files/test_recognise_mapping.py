"""`--mapping auto` and the events that a mapping may name."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shopify_export import HEADER as SHOPIFY

from patron.collect.files.mapping import BUILT_IN, load_mapping
from patron.collect.files.recognise_mapping import recognise_mapping
from patron.collect.mapping_columns import columns_by_file
from patron.schema.data.raw_events import RAW_EVENTS
from patron.schema.errors import BadFile, BadMapping
from patron.schema.table_definition import TIME

MAPPING = """
name = "mine"
[[part]]
name = "orders"
event = {event}
[part.columns]
user_id = "who"
occurred_at = "at"
"""


def recognised(tmp_path, **files) -> str:
    paths = []
    for name, content in files.items():
        paths.append(str(tmp_path / name.replace("__", ".")))
        (tmp_path / name.replace("__", ".")).write_text(content, encoding="utf-8")
    return recognise_mapping(paths, delimiter=None, encoding=None)


def header_of(name: str) -> str:
    """A file with just the columns that a mapping needs."""
    columns = [column for of in columns_by_file(load_mapping(name)).values() for column in sorted(of)]
    return ";".join(columns) + "\n" + ";".join("1" for _ in columns) + "\n"


@pytest.mark.parametrize("name", ["cdnow", "online-retail", "shopify", "taobao", "woocommerce"])
def test_a_file_is_recognised_by_the_columns_that_its_mapping_needs(tmp_path, name):
    assert recognised(tmp_path, export__csv=header_of(name)) == name


def test_a_real_shopify_header_is_shopify(tmp_path):
    row = ",".join("" for _ in SHOPIFY)
    assert recognised(tmp_path, orders_export__csv=",".join(SHOPIFY) + f"\n{row}\n") == "shopify"


def test_several_files_of_one_mapping_are_recognised_together(tmp_path):
    needed = columns_by_file(load_mapping("completejourney"))
    assert needed["campaigns.*"] == {"household_id", "campaign_id"}
    files = {
        f"{files[:-2]}__csv": ",".join(sorted(of)) + "\n" + "1," * (len(of) - 1) + "1\n" for files, of in needed.items()
    }
    assert recognised(tmp_path, **files) == "completejourney"


def test_messages_and_raw_events_are_recognised_by_their_form(tmp_path):
    message = {"type": "track", "event": "Product Viewed", "userId": "u"}
    assert recognised(tmp_path, events__jsonl=json.dumps(message) + "\n") == "segment"
    rows = pa.table({"event_id": ["1"], "name": ["Page"], "occurred_at": pa.array([0], TIME)})
    pq.write_table(rows, tmp_path / "events.parquet")
    assert recognise_mapping([str(tmp_path / "events.parquet")], delimiter=None, encoding=None) == "patron"
    assert set(rows.column_names) <= set(RAW_EVENTS.names)


def test_a_file_that_no_mapping_fits_names_the_closest_and_what_it_lacks(tmp_path):
    with pytest.raises(
        BadFile,
        match=r"no built-in mapping fits its columns \(customer_id, date, value\).*cdnow, which also needs units",
    ):
        recognised(tmp_path, f__csv="customer_id,date,value\n1,2,3\n")
    with pytest.raises(BadFile, match=r"fits its columns \(a, b\)\. `patron mappings` lists"):
        recognised(tmp_path, f__csv="a,b\n1,2\n")
    with pytest.raises(BadFile, match="--delimiter"):
        recognised(tmp_path, f__csv="customer_id~date~units~value\n1~2~3~4\n")
    with pytest.raises(BadFile, match="no files were named"):
        recognise_mapping([], delimiter=None, encoding=None)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ('"Order Complete"', "no event 'Order Complete'.*Did you mean Order Completed"),
        ('"order completed"', "Did you mean Order Completed"),
        ('"Zzz"', "docs/reference/events.md"),
        ('{value = "Order Refund"}', "Did you mean Order Refunded"),
        (
            """{sql = "case when a = 'x' then 'Order Completed' else 'Order Canceled' end"}""",
            "Did you mean Order Cancelled",
        ),
    ],
)
def test_an_event_that_is_not_in_the_catalogue_is_refused(tmp_path, event, words):
    path = tmp_path / "mine.toml"
    path.write_text(MAPPING.replace("{event}", event))
    with pytest.raises(BadMapping, match=words):
        load_mapping(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[part.columns]", 'wher = "x"\n[part.columns]', "unknown key of a \\[\\[part\\]\\]: wher.*Did you mean where"),
        ('user_id = "who"', 'userid = "who"', "unknown column of part orders: userid.*Did you mean user_id"),
        ('event = "Page"', "", "part orders has no event"),
        ('name = "mine"', 'name = "mine"\n[[lookup]]\nname = "l"\nfiles = "*"\n', "lookup l has no sql"),
        ('name = "mine"', 'name = "mine"\ncurency = "EUR"', "unknown key: curency.*Did you mean currency"),
    ],
)
def test_a_misspelt_key_of_a_mapping_is_named_with_what_may_be_meant(tmp_path, old, new, words):
    path = tmp_path / "mine.toml"
    path.write_text(MAPPING.replace("{event}", '"Page"').replace(old, new))
    with pytest.raises(BadMapping, match=words):
        load_mapping(path)


def test_a_misspelt_built_in_mapping_is_asked_about():
    with pytest.raises(BadMapping, match="Did you mean shopify"):
        load_mapping("shopfy")
    assert "shopify" in BUILT_IN
