import io
import json
import zipfile
from datetime import UTC, datetime

import pyarrow as pa
import pytest
import sqlalchemy as sa

from patron.collect.loader import load_events
from patron.commands.data.init_workspace import create
from patron.commands.models.export_scores import export_scores, write_scores
from patron.commands.privacy.export import archive_of, export_customer, write_private
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import Vault
from patron.run import run_loop
from patron.schema.errors import NotFound
from patron.schema.tables import BY_NAME
from patron.storage.shop import Shop
from patron.storage.store.store import EXPERIMENT_ARMS

pytestmark = pytest.mark.xdist_group("export")  # its workspace takes long to make

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)


def raw_events() -> pa.Table:
    """Orders of thirty customers over five months; one searched, sent her e-mail, was referred, lent her device."""
    rows = []
    for number in range(30):
        for month in range(1, 6):
            at = datetime(2024, month, number % 28 + 1, 12, tzinfo=UTC)
            order = {"name": "Order Completed", "occurred_at": at, "user_id": f"shop {number}", "revenue_cents": 1000}
            rows.append({"event_id": f"o{number}-{month}", "order_id": f"{number}-{month}", **order})
    at = datetime(2024, 5, 20, tzinfo=UTC)
    anna = {"user_id": "shop 7", "anonymous_id": "visitor 7", "occurred_at": at}
    rows += [
        {"event_id": "s", "name": "Products Searched", "texts": '{"query":"gift for bert"}', **anna},
        {"event_id": "i", "name": "Identify", "personal": '{"email":"anna@example.org"}', **anna},
        {"event_id": "r", "name": "Customer Referred", "user_id": "shop 8", "referred_user_id": "shop 7"},
        anna | {"event_id": "other", "name": "Product Viewed", "product_id": "p", "user_id": "shop 9"},
    ]
    rows[-2]["occurred_at"], rows[-1]["occurred_at"] = at, datetime(2024, 5, 21, tzinfo=UTC)
    names = {name for row in rows for name in row}
    return pa.Table.from_pylist([dict.fromkeys(names) | row for row in rows])


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("w")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.delenv("PATRON_MASTER_KEY", raising=False)
        create(folder / "w")
        shop = Shop.open(folder / "w")
        load_events(shop, raw_events(), source="web", known="occurred", received_at=AS_OF)
        before_any_run = export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id="shop 7")
        assert before_any_run["as_of"] is None
        assert before_any_run["tables"].keys() == {"events"}
        run_loop(shop, AS_OF)
        yield shop
        shop.close()


def test_everything_known_of_one_customer_is_exported_revealed(shop):
    customer_id = export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id="shop 7")[
        "customer_id"
    ]
    with shop.store.begin() as connection:
        row = {"experiment": "retention", "customer_id": customer_id, "arm": "holdout", "assigned_at": AS_OF}
        connection.execute(sa.insert(EXPERIMENT_ARMS).values(row))
    known = export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id="shop 7")
    assert set(known["identifiers"].values()) == {"shop 7", "visitor 7"}
    assert sorted(text["text"] for text in known["texts"]) == [
        '{"email":"anna@example.org"}',
        '{"query":"gift for bert"}',
    ]
    tables = known["tables"]
    assert {event["event_id"] for event in tables["events"]} == {*(f"o7-{month}" for month in range(1, 6)), *"sir"}
    for name in ("customers", "identities", "orders", "order_lines", "interactions", "features", "segments", "scores"):
        assert {row["customer_id"] for row in tables[name]} == {known["customer_id"]}, name
    assert [row["arm"] for row in tables["experiment_arms"]] == ["holdout"]
    assert set(tables) - {"events", "experiment_arms"} <= BY_NAME.keys()
    assert (
        export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), customer_id=known["customer_id"])
        == known
    )


def test_tables_of_tokens_are_exported_as_they_are_erased(shop):
    known = export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id="shop 7")
    revealed = known["identifiers"]
    pairs = {
        tuple(revealed.get(row[name]) for name in ("user_token", "anonymous_token"))
        for row in known["tables"]["token_pairs"]
    }
    assert pairs == {("shop 7", None), ("shop 7", "visitor 7")}
    assert {name for name, table in BY_NAME.items() if any(column.personal == "token" for column in table.columns)} == {
        *("events", "token_pairs", "identities", "identity_changes")
    }


def test_what_another_user_did_on_a_device_of_theirs_is_in_no_table_of_an_export(shop):
    token = Vault.open(shop).token("user_id", "shop 9")
    known = export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id="shop 7")
    assert known["tables"]["token_pairs"]
    assert token not in json.dumps(known, default=str)


def test_nobody_else_is_in_an_export(shop):
    text = json.dumps(
        export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id="shop 6"), default=str
    )
    assert "shop 6" in text
    for other in ("shop 7", "anna@example.org", "bert"):
        assert other not in text


@pytest.mark.parametrize("named", [{"user_id": "shop 99"}, {"customer_id": "x' or true --"}])
def test_an_unknown_customer_is_not_found(shop, named):
    with pytest.raises(NotFound):
        export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), **named)


def test_the_archive_for_a_person_has_numbers_and_no_formula():
    rows = [{"paid_cents": -500, "share": -0.5, "note": "=1+1", "none": None}, {"=name": "-1", "flag": True}]
    with zipfile.ZipFile(io.BytesIO(archive_of({"tables": {"order lines": rows}}))) as archive:
        text = archive.read("order_lines.csv").decode()
    assert text.splitlines() == [
        "paid_cents,share,note,none,'=name,flag", "-500,-0.5,'=1+1,,,", ",,,,'-1,True"
    ]  # fmt: skip


def test_an_export_file_is_for_its_owner_only_even_where_another_file_was(shop, tmp_path):
    path = tmp_path / "one.json"
    path.write_text("readable by all")
    path.chmod(0o644)
    known = export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id="shop 7")
    assert write_private(known, path) == path
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["customer_id"] == known["customer_id"]
    assert list(tmp_path.iterdir()) == [path]


def test_exports_are_the_same_byte_for_byte_whatever_the_number_of_threads(shop, tmp_path, monkeypatch):
    def exported(threads: int, name: str) -> tuple[bytes, bytes]:
        monkeypatch.setenv("PATRON_ENGINE__THREADS", str(threads))
        monkeypatch.setenv("XDG_CONFIG_HOME", str(shop.folder.parent / "config"))
        again = Shop.open(shop.folder)
        person = write_private(
            export_customer(RequestContext.from_name(again, now=AS_OF), user_id="shop 7"), tmp_path / f"{name}.json"
        )
        scores = write_scores(export_scores(RequestContext.from_name(again, now=AS_OF)), tmp_path / f"{name}.csv")
        again.close()
        return person.read_bytes(), scores.read_bytes()

    first = exported(1, "one")
    assert all(exported(threads, f"{threads}-{number}") == first for threads in (1, 4) for number in range(2))
    rows = json.loads(first[0])["tables"]["scores"]
    assert rows == sorted(rows, key=lambda row: [str(value) for value in row.values()])
