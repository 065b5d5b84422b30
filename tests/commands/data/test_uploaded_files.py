"""Uploaded files: masked, tried, checked as a whole before anything is stored, and deleted afterwards."""

import io
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Thread

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
from patron.schema.errors import BadFile, BadMapping, NotFound, PatronError
from patron.schema.progress import silent
from patron.schema.tables import EVENTS
from patron.storage.data.sealed_uploads import (
    clear_upload,
    delete_old_uploads,
    delete_upload,
    upload_folder,
    uploads_folder,
)

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
    assert [column.samples for column in shown.columns if column.is_personal] == [("k•••",)]
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


def files_of(shop) -> list:
    return [path for path in (shop.folder / "tmp" / "uploads").rglob("*") if path.is_file()]


def test_a_name_leads_nowhere_else_and_old_files_go(shop):
    upload_id = upload(shop, GERMAN, "../../patron.toml")
    assert look_into_upload(shop, upload_id).file == "patron.toml"
    assert [path.name for path in files_of(shop)] == ["sealed"]
    assert files_of(shop)[0].stat().st_mode & 0o077 == 0
    with pytest.raises(NotFound):
        look_into_upload(shop, "../../..")
    delete_old_uploads(shop, now=datetime.now(UTC) + timedelta(hours=23))
    assert look_into_upload(shop, upload_id).line_count == 151
    delete_old_uploads(shop, now=datetime.now(UTC) + timedelta(hours=25))
    with pytest.raises(NotFound):
        look_into_upload(shop, upload_id)
    with pytest.raises(BadFile):
        save_upload(shop, "empty.csv", io.BytesIO(b""), now=NOW)
    assert files_of(shop) == []


@pytest.mark.parametrize(
    "name", ["", "..", "a" * 300 + ".csv", "单" * 200 + ".csv", "a\x00b.csv", "/etc/passwd", "CON:.csv"]
)
def test_any_name_becomes_one_that_a_file_can_have(shop, name):
    upload_id = upload(shop, GERMAN, name)
    file = look_into_upload(shop, upload_id, encoding="utf-8").file
    assert file
    assert not set(file) & set("/\\:\0")


def test_an_upload_lies_sealed_with_its_name_whatever_is_done_with_it(shop):
    upload_id = upload(shop, GERMAN * 300, "Bestellungen geheim.csv", encoding="cp1252")
    look_into_upload(shop, upload_id)
    try_upload(shop, upload_id, german(), now=NOW)
    for path in files_of(shop):
        assert path.name in {"sealed", "mapping.toml"}
        assert not any(word in path.read_bytes() for word in (b"geheim", b"kunde", b"Beispiel"))


def test_a_sealed_upload_that_was_changed_is_refused(shop):
    upload_id = upload(shop, GERMAN * 400)
    [sealed] = files_of(shop)
    whole = sealed.read_bytes()
    other = upload(shop, GERMAN)
    [foreign] = [path for path in files_of(shop) if path != sealed]
    assert len(whole) > 2 << 20
    block = 4 + int.from_bytes(whole[:4], "big")
    for changed in (
        whole[:-1],
        whole[: len(whole) // 2],
        whole[block:],
        whole[:block] + whole[block + (1 << 20) + 32 :],
        whole[:100] + bytes([whole[100] ^ 1]) + whole[101:],
        foreign.read_bytes(),
        b"",
        b"\xff" * 1000,
    ):
        sealed.write_bytes(changed)
        with pytest.raises(BadFile, match="damaged or changed"):
            look_into_upload(shop, upload_id)
    assert look_into_upload(shop, other).line_count == 151


def test_a_copy_in_clear_whose_reader_was_killed_is_deleted_and_one_that_is_read_is_not(shop):
    upload_id = upload(shop, GERMAN)
    later = datetime.now(UTC) + timedelta(minutes=5)
    with clear_upload(shop, upload_id) as path:
        delete_old_uploads(shop, now=later)
        assert path.is_file()
    assert not path.exists()
    left = files_of(shop)[0].parent / "clear-of-somebody-killed"
    left.mkdir()
    (left / "orders.csv").write_text("ann@shop.example")
    delete_old_uploads(shop, now=datetime.now(UTC))
    assert left.exists()
    delete_old_uploads(shop, now=later)
    assert not left.exists()
    assert look_into_upload(shop, upload_id).line_count == 151


def test_an_upload_that_is_deleted_while_it_is_read_is_refused_and_leaves_nothing(shop):
    upload_id = save_upload(shop, "orders.csv", io.BytesIO(b"a,b\n1,2\n"), now=NOW)
    with pytest.raises(NotFound), clear_upload(shop, upload_id) as path:  # noqa: PT012 - it is the block that misses it
        delete_upload(shop, upload_id)
        path.stat()
    assert not upload_folder(shop, upload_id).exists()
    answers = []
    for _ in range(20):
        upload_id = save_upload(shop, "orders.csv", io.BytesIO(b"a,b\n" * 1_000_000), now=NOW)
        readers = [Thread(target=partial(_read_again, shop, upload_id, answers)) for _ in range(2)]
        for reader in readers:
            reader.start()
        time.sleep(0.005)
        delete_upload(shop, upload_id)
        for reader in readers:
            reader.join()
        assert not list(uploads_folder(shop).glob(f"{upload_id}/*"))
    assert set(answers) == {NotFound}


def _read_again(shop, upload_id, answers):
    try:
        while True:
            with clear_upload(shop, upload_id) as path:
                path.stat()
    except (PatronError, OSError) as error:
        answers.append(type(error))


def test_a_mapping_quotes_what_a_header_holds_and_names_what_is_missing():
    columns = {"occurred_at": 'a"b', "user_id": "c'd\\", "revenue": "sum"}
    text = mapping_toml(ColumnMapping("orders", columns), columns.values())
    assert 'occurred_at = "a\\"b"' in text
    with pytest.raises(BadMapping, match="revenue"):
        mapping_toml(ColumnMapping("orders", {**columns, "revenue": ""}), columns.values())
    with pytest.raises(BadMapping, match="not a column"):
        mapping_toml(ColumnMapping("orders", columns), ["sum"])
    assert suggest_mapping(["订单号", "会员号", "下单时间", "商品编号", "单价"]).rows == "lines"
