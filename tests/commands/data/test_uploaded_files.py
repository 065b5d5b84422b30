"""Uploaded files: masked, tried, checked as a whole before anything is stored, and deleted afterwards."""

import io
from datetime import UTC, datetime, timedelta

import pytest

from patron.commands.data.column_mapping import ColumnMapping, mapping_toml, suggest_mapping
from patron.commands.data.uploaded_files import (
    CUSTOM,
    MappingChoice,
    choice_of,
    choice_options,
    import_upload,
    look_into_upload,
    save_upload,
    try_upload,
)
from patron.schema.errors import BadFile, BadMapping, NotFound
from patron.schema.progress import silent
from patron.schema.tables import EVENTS

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GERMAN = "Bestellnummer;Kunde;Datum;Betrag\n" + "".join(
    f"{n};kunde{n % 7}@Beispiel.de;{1 + n % 28:02d}.01.2026;{10 + n},50\n" for n in range(150)
)


def upload(shop, text: str, name: str = "Bestellungen März.csv", encoding: str = "utf-8") -> str:
    return save_upload(shop, name, io.BytesIO(text.encode(encoding)), now=NOW)


def german(columns=None) -> MappingChoice:
    names = {"order_id": "Bestellnummer", "user_id": "Kunde", "occurred_at": "Datum", "revenue": "Betrag"}
    mapping = ColumnMapping("orders", columns or names, "EUR", "%d.%m.%Y", has_decimal_comma=True)
    return MappingChoice(CUSTOM, mapping, "cp1252", "EUR", "Europe/Berlin")


def test_a_file_of_unknown_columns_is_mapped_tried_and_imported_once(shop):
    upload_id = upload(shop, GERMAN, encoding="cp1252")
    shown = look_into_upload(shop, upload_id)
    assert shown.built_in == ""
    assert dict(shown.suggestion.columns) == dict(german().columns.columns)
    assert [one.samples for one in shown.columns if one.is_personal] == [("k•••",)]
    trial = try_upload(shop, upload_id, german(), now=NOW)
    assert (trial.preview.counts.stored, trial.preview.counts.rejected) == (100, 0)
    assert not shop.lake.exists(EVENTS)
    options = choice_options(upload_id, german())
    assert choice_of(options) == german()
    summary = import_upload(shop, options, now=NOW, progress=silent)
    assert (summary.stored, summary.rejected) == (150, 0)
    with pytest.raises(NotFound):
        look_into_upload(shop, upload_id)
    again = import_upload(shop, choice_options(upload(shop, GERMAN), german()), now=NOW, progress=silent)
    assert (again.stored, again.duplicate) == (0, 150)


def test_a_file_with_too_many_faults_stores_nothing(shop):
    faulty = GERMAN.replace("01.2026", "13.2026", 20)
    options = choice_options(upload(shop, faulty), german())
    with pytest.raises(BadFile, match="nothing was stored"):
        import_upload(shop, options, now=NOW, progress=silent)
    assert not shop.lake.exists(EVENTS)


def test_a_name_leads_nowhere_else_and_old_files_go(shop):
    upload_id = upload(shop, GERMAN, "../../patron.toml")
    files = [path for path in (shop.folder / "tmp" / "uploads" / upload_id).rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["patron.toml"]
    assert files[0].stat().st_mode & 0o077 == 0
    with pytest.raises(NotFound):
        look_into_upload(shop, "../../..")
    late = datetime.now(UTC) + timedelta(days=2)
    save_upload(shop, "b.csv", io.BytesIO(b"a\n1\n"), now=late)
    with pytest.raises(NotFound):
        look_into_upload(shop, upload_id)
    with pytest.raises(BadFile):
        save_upload(shop, "empty.csv", io.BytesIO(b""), now=NOW)


def test_a_mapping_quotes_what_a_header_holds_and_names_what_is_missing():
    columns = {"occurred_at": 'a"b', "user_id": "c'd\\", "revenue": "sum"}
    text = mapping_toml(ColumnMapping("orders", columns), columns.values())
    assert 'occurred_at = "a\\"b"' in text
    with pytest.raises(BadMapping, match="revenue"):
        mapping_toml(ColumnMapping("orders", {**columns, "revenue": ""}), columns.values())
    with pytest.raises(BadMapping, match="not a column"):
        mapping_toml(ColumnMapping("orders", columns), ["sum"])
    assert suggest_mapping(["订单号", "会员号", "下单时间", "商品编号", "单价"]).rows == "lines"
