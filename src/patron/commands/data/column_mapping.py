"""A mapping for a file that no built-in one fits: our field from your column, chosen in a form, kept as a TOML file."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from patron.schema.common_sentences import CHOOSE_FROM_LIST
from patron.schema.errors import BadMapping
from patron.schema.privacy.personal_keys import snake_case
from patron.schema.sentences import Sentence

NOT_ROW_KIND = Sentence("not_row_kind", "{name!r} is not a kind of row")
NOT_TIME_FORMAT = Sentence("not_time_format", "is not a time format")
NO_COLUMN_FOR = Sentence("no_column_for", "no column is chosen for {names}")
CHOOSE_OF = Sentence("choose_of", "Choose {names}.")
CHOOSE_EACH = Sentence("choose_each", "Choose one for each.")
NOT_A_COLUMN = Sentence("not_a_column", "is not a column of the file")
CHOOSE_COLUMN_OF_FILE = Sentence("choose_column_of_file", "Choose a column of the file.")

ORDERS, LINES = "orders", "lines"
EVENTS = {ORDERS: "Order Completed", LINES: "Order Line Completed"}
"""What one row of the file is."""
SOURCE = "files"
"""Source of the events, whatever the mapping: a file imported again with a better one stores nothing twice."""
DATE_FORMATS = ("", "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d/%m/%Y", "%d/%m/%Y %H:%M", "%m/%d/%Y", "%m/%d/%Y %H:%M")
"""How times are written that are not ISO 8601."""


@dataclass(frozen=True)
class Field:
    """One of our fields that a column can fill."""

    name: str
    rows: tuple[str, ...]
    """Of what kinds of rows it is a field."""
    required: tuple[str, ...] = ()
    is_trait: bool = False
    headers: tuple[str, ...] = ()
    """What such columns are often called, in the form that `normalised` gives."""


BOTH = (ORDERS, LINES)
FIELDS = (
    Field(
        "occurred_at",
        BOTH,
        BOTH,
        headers=(
            "date",
            "order_date",
            "created_at",
            "datetime",
            "time",
            "datum",
            "bestelldatum",
            "下单时间",
            "订单时间",
            "日期",
        ),
    ),
    Field(
        "user_id",
        BOTH,
        BOTH,
        headers=(
            "customer_id",
            "customer",
            "user",
            "client_id",
            "kundennummer",
            "kunde",
            "会员号",
            "客户编号",
            "用户id",
            "email",
        ),
    ),
    Field(
        "order_id",
        BOTH,
        (LINES,),
        headers=("order", "order_number", "order_no", "invoice", "invoiceno", "bestellnummer", "订单号", "订单编号"),
    ),
    Field(
        "revenue",
        (ORDERS,),
        (ORDERS,),
        headers=(
            "total",
            "amount",
            "order_total",
            "subtotal",
            "paid",
            "sum",
            "umsatz",
            "betrag",
            "金额",
            "实付金额",
            "订单金额",
        ),
    ),
    Field("price", (LINES,), (LINES,), headers=("unit_price", "unitprice", "item_cost", "preis", "单价", "价格")),
    Field("quantity", (LINES,), headers=("qty", "units", "menge", "数量")),
    Field(
        "product_id",
        (LINES,),
        (LINES,),
        headers=("sku", "product", "item_id", "stockcode", "artikelnummer", "商品编号", "商品id"),
    ),
    Field("product_name", (LINES,), headers=("item_name", "title", "description", "artikel", "商品名称", "商品标题")),
    Field("category", (LINES,), headers=("department", "kategorie", "类目", "品类")),
    Field("discount", BOTH, headers=("discount_amount", "rabatt", "优惠金额")),
    Field("coupon", BOTH, headers=("discount_code", "voucher", "gutschein", "优惠券")),
    Field("currency", BOTH, headers=("currency_code", "waehrung", "币种")),
    Field("channel", BOTH, headers=("sales_channel", "渠道")),
    Field("email", BOTH, is_trait=True, headers=("e_mail", "mail", "邮箱")),
    Field("phone", BOTH, is_trait=True, headers=("telephone", "mobile", "telefon", "手机号", "电话")),
    Field("country", BOTH, is_trait=True, headers=("billing_country", "shipping_country", "land", "国家")),
)


@dataclass(frozen=True)
class ColumnMapping:
    """Which column fills which field."""

    rows: str = ORDERS
    """orders: a row is an order; lines: a row is a line of one."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Column of the file by our field."""
    currency: str = ""
    """ISO 4217; empty: the shop's, or that of the column."""
    date_format: str = ""
    """One of DATE_FORMATS."""
    has_decimal_comma: bool = False


def normalised(header: str) -> str:
    """A header as the lists of FIELDS have it."""
    return re.sub(r"\W+", "_", snake_case(header)).strip("_")


def suggest_mapping(headers: Iterable[str]) -> ColumnMapping:
    """The fields whose column is named as such columns often are."""
    by_name = {normalised(header): header for header in reversed(list(headers))}
    columns = {
        field_.name: by_name[name]
        for field_ in FIELDS
        if (name := next((name for name in (field_.name, *field_.headers) if name in by_name), ""))
    }
    rows = LINES if "price" in columns and ({"product_id", "product_name"} & columns.keys()) else ORDERS
    return ColumnMapping(rows, {name: column for name, column in columns.items() if rows in _field(name).rows})


def _field(name: str) -> Field:
    return next(field_ for field_ in FIELDS if field_.name == name)


def missing_fields(mapping: ColumnMapping) -> tuple[str, ...]:
    """Fields that rows of the kind need and that no column fills."""
    return tuple(
        field_.name for field_ in FIELDS if mapping.rows in field_.required and not mapping.columns.get(field_.name)
    )


def mapping_toml(mapping: ColumnMapping, headers: Iterable[str]) -> str:
    """The mapping as a TOML file. Raises BadMapping for a field that lacks a column, and for an unknown column."""
    if mapping.rows not in EVENTS:
        raise BadMapping(NOT_ROW_KIND(name=mapping.rows), where="rows", todo=CHOOSE_OF(names=" or ".join(EVENTS)))
    if mapping.date_format not in DATE_FORMATS:
        raise BadMapping(NOT_TIME_FORMAT, where="date_format", todo=CHOOSE_FROM_LIST)
    missing, known = missing_fields(mapping), set(headers)
    if missing:
        raise BadMapping(NO_COLUMN_FOR(names=", ".join(missing)), where="columns", todo=CHOOSE_EACH)
    fields = {
        field_.name: field_ for field_ in FIELDS if mapping.rows in field_.rows and mapping.columns.get(field_.name)
    }
    for name in fields:
        if mapping.columns[name] not in known:
            raise BadMapping(NOT_A_COLUMN, where=mapping.columns[name], todo=CHOOSE_COLUMN_OF_FILE)
    chosen = {name: mapping.columns[name] for name in fields}
    top = [f"source = {_text(SOURCE)}"]
    top += [f"currency = {_text(mapping.currency.strip().upper())}"] if mapping.currency.strip() else []
    top += ["decimal_comma = true"] if mapping.has_decimal_comma else []
    part = [f"name = {_text(mapping.rows)}", f"event = {_text(EVENTS[mapping.rows])}"]
    if mapping.rows == ORDERS and "order_id" in chosen:
        part.append(f"id = [{_text(chosen['order_id'])}]")
    if mapping.rows == ORDERS:
        # why: exports with a row a line name the order's amount on its first row only
        part.append(f"where = {_text(_sql_name(chosen['revenue']) + ' is not null')}")
    columns = [
        f"{name} = {_column(name, column, mapping.date_format)}"
        for name, column in chosen.items()
        if not fields[name].is_trait
    ]
    traits = [f"{name} = {_text(column)}" for name, column in chosen.items() if fields[name].is_trait]
    body = "\n".join([*top, "", "[[part]]", *part, "[part.columns]", *columns, "[part.traits]", *traits, ""])
    name = f"upload-{hashlib.sha256(body.encode()).hexdigest()[:12]}"
    return f"name = {_text(name)}\n{body}"


def _column(name: str, column: str, date_format: str) -> str:
    if name == "occurred_at" and date_format:
        return f"{{column = {_text(column)}, format = {_text(date_format)}}}"
    if name == "user_id":
        # why: an e-mail address is one customer however it is written, as in the built-in mappings
        quoted = _sql_name(column)
        sql = f"case when {quoted} like '%@%' then lower({quoted}) else {quoted} end"
        return f"{{sql = {_text(sql)}}}"
    return _text(column)


def _text(text: str) -> str:
    """A basic string of TOML, which JSON writes alike."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _sql_name(column: str) -> str:
    """A column's name in SQL."""
    return '"' + column.replace('"', '""') + '"'
