"""After a person was forgotten no byte of the workspace mentions them, and nothing brings them back."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from workspace_copies import copy_workspace

from patron.collect.inbox.compaction import LIVE, drain_inbox
from patron.collect.inbox.workspace_inbox import collector_state, open_inbox
from patron.collect.request import SourceRules, validate_batch
from patron.commands.access import manage_keys
from patron.commands.customers.resolve_person import Person
from patron.commands.data.doctor import CHECKS, doctor
from patron.commands.data.import_files import import_files, replay
from patron.commands.data.init_workspace import create
from patron.commands.privacy import forget as forgetting
from patron.commands.privacy.export import export_customer, write_private
from patron.commands.privacy.forget import forget
from patron.commands.privacy.forget_files import delete_temporary_path, erase_from_files
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.govern.master_key import derive_keys
from patron.govern.vault import Vault
from patron.interfaces.report.html_report import write_report
from patron.predict.recommend.library_lists import FittedLists
from patron.run import run_loop
from patron.schema.errors import NotFound, SettingsError
from patron.schema.progress import silent
from patron.schema.tables import BY_NAME, EVENTS, RESPONSE_FORECASTS, TABLES, TEXT_VECTORS
from patron.storage.lake.lake_erasure import Eraser
from patron.storage.models import model_registry
from patron.storage.models.model_registry import ERASED
from patron.storage.runs.runs import Run
from patron.storage.safe_csv import write_csv
from patron.storage.shop import Shop
from patron.storage.store.store import AUDIT, DEAD_LETTERS, ERASURES, EXPERIMENT_ARMS, FORGOTTEN

pytestmark = pytest.mark.xdist_group("forget")  # its workspace takes long to make

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)
RECEIVED = datetime(2024, 5, 21, tzinfo=UTC)
LATER = datetime(2024, 6, 20, tzinfo=UTC)
OPEN = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=False, is_history=True)
ANNA, DEVICE, HER_PHONE = "anna-user-4711", "anna-device-0815", "anna-device-0816"
EMAIL, PHONE = "Anna.Example@example.org", "+49 170 1234567"
HER_PRODUCT, HER_PRODUCT_NAME = "card-quixotic", "Birthday card for Anna Q."
HER_CATEGORY, HER_INCOME = "Family Quixotic", "as rich as Quixotic"
HER_OFFER = "Birthday offer for Anna Q."
HER_LEAFLET = "leaflet-quixotic"
HERS = (HER_PRODUCT, HER_PRODUCT_NAME, HER_CATEGORY, HER_INCOME, HER_OFFER, HER_LEAFLET)
"""What nobody else's events hold: it is in tables without people, and in models."""
NAMES = (
    *HERS,
    ANNA,
    DEVICE,
    HER_PHONE,
    "anna.example@example",
    EMAIL,
    PHONE,
    "491701234567",
    "Anna Quixotic",
    "Sesame Lane 12",
    "gift for Zebulon",
)
OTHER = "other-0"


def event(number: int, **fields: object) -> dict:
    base = {"type": "track", "messageId": f"m{number}", "timestamp": "2024-05-20T10:00:00Z"}
    return base | fields


def annas_messages() -> list[dict]:
    """The person's messages: who she is, what she looked for and bought, on her device and on nobody's yet."""
    who = {"userId": ANNA, "anonymousId": DEVICE}
    traits = {
        "email": EMAIL,
        "phone": PHONE,
        "name": "Anna Quixotic",
        "address": {"street": "Sesame Lane 12"},
        "income": HER_INCOME,
    }
    return [
        event(
            1,
            anonymousId=DEVICE,
            event="Product Viewed",
            properties={"product_id": "p1"},
            timestamp="2024-05-19T10:00:00Z",
        ),
        event(2, **who | {"type": "identify", "traits": traits}),
        event(
            3, userId=ANNA, anonymousId=HER_PHONE, event="Products Searched", properties={"query": "gift for Zebulon"}
        ),
        event(
            4,
            **who,
            event="Order Completed",
            properties={
                "order_id": "anna-o",
                "revenue": 36,
                "products": [
                    {"product_id": "p1", "price": 30, "quantity": 1},
                    {
                        "product_id": HER_PRODUCT,
                        "name": HER_PRODUCT_NAME,
                        "category": HER_CATEGORY,
                        "price": 6,
                        "quantity": 1,
                    },
                ],
            },
        ),
        event(5, **who, event="Order Completed", properties={"order_id": "anna-bad", "revenue": 30, "currency": "CHF"}),
        *(
            event(6 + number, **who, event="Promotion Scheduled", properties=promoted(*what))
            for number, what in enumerate(((HER_PRODUCT, None), ("p1", None), ("p1", HER_LEAFLET), ("p2", "leaflet")))
        ),
    ]


def promoted(product_id: str, promotion_id: str | None, name: str = HER_OFFER) -> dict:
    """Properties of a promotion of June."""
    what = {"product_id": product_id, "name": name, "starts_at": "2024-06-03", "ends_at": "2024-06-10"}
    return what if promotion_id is None else what | {"promotion_id": promotion_id}


def other_messages() -> list[dict]:
    """Orders of other customers; one of them used her device later, and referred her."""
    orders = [
        event(
            1000 + number * 10 + month,
            userId=f"other-{number}",
            event="Order Completed",
            timestamp=f"2024-0{month}-10T12:00:00Z",
            properties={
                "order_id": f"{number}-{month}",
                "revenue": 10 + number,
                "products": [{"product_id": f"p{number % 3}", "price": 10 + number, "quantity": 1}],
            },
        )
        for number in range(25)
        for month in range(1, 6)
    ]
    return [
        *orders,
        event(
            901,
            userId=OTHER,
            anonymousId=DEVICE,
            event="Product Viewed",
            properties={"product_id": "p2"},
            timestamp="2024-05-25T10:00:00Z",
        ),
        event(902, userId=OTHER, event="Customer Referred", properties={"referred_user_id": ANNA}),
        event(903, type="identify", userId=OTHER, traits={"email": "other@example.com"}),
        *(
            event(number, event="Promotion Scheduled", properties=properties, timestamp="2024-05-25T10:00:00Z")
            for number, properties in (
                (904, promoted("p2", "leaflet", "Summer") | {"ends_at": "2024-06-11"}),
                (905, promoted("p1", None, "Sale")),
            )
        ),
    ]


def send_live(shop: Shop, messages: list[dict]) -> None:
    """Put messages into the inbox as the collector does."""
    inbox = open_inbox(shop)
    inbox.append([validate_batch(json.dumps({"batch": messages}).encode(), "web", RECEIVED, OPEN)])
    inbox.close()


def write_file(folder: Path) -> Path:
    """A file of the shop with an order of hers and a row nobody can read."""
    path = folder / "events.jsonl"
    order = event(50, userId=ANNA, event="Order Completed", properties={"order_id": "anna-file", "revenue": 20})
    bad = event(
        51,
        userId=ANNA,
        event="Order Completed",
        properties={"order_id": "anna-bad-2", "revenue": "much", "email": EMAIL},
    )
    mine = event(52, userId=OTHER, event="Order Completed", properties={"order_id": "other-file", "revenue": 20})
    path.write_text("\n".join(map(json.dumps, (order, bad, mine))) + "\n{no json " + ANNA + "\n")
    return path


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Iterator[Path]:
    """A workspace after a run, a report, an export and an import, with her live events waiting."""
    folder = tmp_path_factory.mktemp("forget")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATRON_MASTER_KEY", "ab" * 32)
        create(folder / "w", {"currency": "USD"})
        shop = Shop.open(folder / "w")
        send_live(shop, annas_messages())
        with shop.lock():
            drain_inbox(shop)
        (folder / "others.jsonl").write_text("\n".join(map(json.dumps, other_messages())))
        import_files(shop, [str(folder / "others.jsonl")], "segment", progress=silent, now=datetime.now(UTC))
        import_files(shop, [str(write_file(folder))], "segment", progress=silent, now=datetime.now(UTC))
        run_loop(shop, AS_OF)
        write_report(shop, shop.folder / "report.html")
        write_private(
            export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id=ANNA),
            shop.folder / "anna.json",
        )
        write_private(
            export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id=ANNA),
            shop.folder / "outbox" / "anna.json",
        )
        write_private(
            export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id=OTHER),
            shop.folder / "other.json",
        )
        with shop.store.begin() as connection:
            row = {"experiment": "e", "customer_id": customer_id(shop, ANNA), "arm": "holdout", "assigned_at": AS_OF}
            connection.execute(sa.insert(EXPERIMENT_ARMS).values(row))
        shop.close()
        yield folder


@pytest.fixture(autouse=True)
def _same_key(monkeypatch):
    monkeypatch.setenv("PATRON_MASTER_KEY", "ab" * 32)


@contextmanager
def copied(source: Path, folder: Path) -> Iterator[Shop]:
    """A copy of a workspace, opened."""
    with closing(Shop.open(copy_workspace(source, folder / "w"))) as shop:
        yield shop


@pytest.fixture
def shop(filled, tmp_path) -> Iterator[Shop]:
    """The workspace that knows her."""
    with copied(filled / "w", tmp_path) as shop:
        yield shop


@dataclass(frozen=True)
class Forgotten:
    """A workspace after one erasure, of which each test takes a copy, and what was known before."""

    folder: Path
    certificate: forgetting.ErasureCertificate
    run: Run
    rows_before: dict[str, list]
    """Of others."""
    state: dict[str, list]
    places_before: frozenset[str]
    """Folders that named her offer."""
    exported: str
    """What an export said of her."""


def forgotten_after(filled: Path, folder: Path, prepare: Callable[[Shop], str], **named: str) -> Forgotten:
    """Change a copy of the workspace, and forget her."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATRON_MASTER_KEY", "ab" * 32)
        with copied(filled / "w", folder) as shop:
            exported = prepare(shop)
            last = shop.snapshot()
            before = rows_of_others(shop, set(ids_of(shop, ANNA, DEVICE, HER_PHONE)))
            places = frozenset("/".join(path.split("/")[:2]) for path, _ in traces(shop.folder, HER_OFFER))
            done = forget(RequestContext.from_name(shop, now=datetime.now(UTC)), **named)
            found = state(shop) | {"erased": sorted(done.erased.items())}
    return Forgotten(folder / "w", done, last.run, before, found, places, exported)


@pytest.fixture(scope="module")
def forgotten(filled, tmp_path_factory) -> Forgotten:
    """The workspace after an erasure that nobody cut off."""
    return forgotten_after(filled, tmp_path_factory.mktemp("whole"), lambda _: "", user_id=ANNA)


@pytest.fixture
def shop_without_her(forgotten, tmp_path) -> Iterator[Shop]:
    with copied(forgotten.folder, tmp_path) as shop:
        yield shop


HERS_ALONE, OF_ALL = "Letter Quixotic", "newsletter"
"""Types of messages."""


def add_what_is_rare(shop: Shop, filled: Path) -> str:
    """Vectors of texts, a message only she got, files of the shop, keys, and wishes that wait in the inbox."""
    sent = {"userId": ANNA, "event": "Message Sent", "properties": {"campaign_id": "c9", "campaign_type": HERS_ALONE}}
    send_live(shop, [event(77, **sent)])
    with shop.lock():
        drain_inbox(shop)
    vectors = [{"text_digest": "ab", "encoder": "any", "vector": [1.0]}]
    shop.lake.replace(TEXT_VECTORS, pa.Table.from_pylist(vectors, TEXT_VECTORS.schema()))
    run_id = shop.snapshot().run.run_id
    row = {"run_id": run_id, "customer_id": customer_id(shop, OTHER), "channel": "mail", "response": "click"}
    row |= {
        "probability": 0.1,
        "message_count": 1,
        "response_count": 0,
        "shop_response_share": 0.1,
        "model_version": "m",
    }
    rows = [row | {"model_version": "m", "message_type": one} for one in (HERS_ALONE, OF_ALL)]
    shop.lake.replace(RESPONSE_FORECASTS, pa.Table.from_pylist(rows, RESPONSE_FORECASTS.schema()), part=run_id)
    version = next(iter(model_registry.model_versions(shop.store)))
    rates = {"rates": {f"mail/{one}": 0.1 for one in (HERS_ALONE, OF_ALL)}}
    rates |= {"levels": [["message_kind", f"mail/{HERS_ALONE}"]]}
    model_registry.rewrite_files(
        shop.folder / "models", shop.store, version, {"rates.json": json.dumps(rates).encode()}
    )
    shutil.copy(filled / "events.jsonl", shop.folder / "orders.jsonl")
    scores = pa.table({"user_id": [ANNA, OTHER], "value": [1.5, 2.5]})
    pq.write_table(scores, shop.folder / "scores.parquet")
    pq.write_table(scores.slice(1), shop.folder / "others.parquet")
    (shop.folder / "outbox" / "calls.txt").write_text(f"call {EMAIL} on Monday")
    api_key = manage_keys.create_key(RequestContext.from_name(shop, now=datetime.now(UTC)), "web")
    manage_keys.revoke_key(RequestContext.from_name(shop, now=datetime.now(UTC)), api_key.key_id)
    send_live(shop, [event(70, userId=ANNA, event="Products Searched", properties={"query": "late wish"})])
    known = export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id=ANNA)
    send_live(shop, [event(71, userId=ANNA, event="Products Searched", properties={"query": "later wish"})])
    return json.dumps(known, default=str)


@pytest.fixture(scope="module")
def forgotten_all(filled, tmp_path_factory) -> Forgotten:
    """The same of a workspace with what is rare, named by her address."""
    folder = tmp_path_factory.mktemp("rare")
    return forgotten_after(filled, folder, lambda shop: add_what_is_rare(shop, filled), email=EMAIL)


@pytest.fixture
def rare_shop_without_her(forgotten_all, tmp_path) -> Iterator[Shop]:
    with copied(forgotten_all.folder, tmp_path) as shop:
        yield shop


def customer_id(shop: Shop, user_id: str) -> str:
    return forgetting.Person((Vault.open(shop).token("user_id", user_id),)).customer_id


def decoded(path: Path) -> str:
    """A file as those read it who may look into it."""
    if path.suffix == ".parquet":
        return str(pq.ParquetFile(path).read().to_pylist())
    return path.read_bytes().decode(errors="replace")


def traces(folder: Path, *names: str) -> list[tuple[str, str]]:
    """Every file that mentions one of these, in bytes, decoded pages or log."""
    found = []
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        raw, text = path.read_bytes(), decoded(path)
        found += [(str(path.relative_to(folder)), name) for name in names if name.encode() in raw or name in text]
    return found


def ids_of(shop: Shop, user_id: str, *more: str) -> list[str]:
    """Opaque ids that stand for a person in the lake, files and store."""
    vault = Vault.open(shop)
    tokens = [vault.token("user_id", user_id), *(vault.token("anonymous_id", one) for one in more)]
    return [*tokens, *forgetting.Person(tuple(tokens)).customer_ids]


NAMES_OF_PEOPLE = ("customer_id", "referred_customer_id", "user_token", "anonymous_token")


def rows_of_others(shop: Shop, gone: set[str]) -> dict[str, list]:
    """All rows of the lake that do not belong to these customers, nor say whom they brought."""
    return {
        table.name: sorted(
            str(row)
            for row in shop.lake.read(table).to_pylist()
            if not {row.get(name) for name in NAMES_OF_PEOPLE} & gone
            and HER_PRODUCT not in {row.get("product_id"), row.get("related_id")}
            and row.get("name") != HER_OFFER
            and row.get("group_code") != HER_CATEGORY
            and row.get("promotion_id") != "leaflet"  # of which hers loses its name
        )
        for table in TABLES
        if table.name not in {"events", "cleaning"} and shop.lake.exists(table)
    }


def events_of(shop: Shop) -> list[str]:
    return sorted(shop.lake.read(EVENTS)["event_id"].to_pylist())


def test_before_she_is_known_by_everything_that_is_looked_for(shop):
    found = {
        name for _, name in traces(shop.folder, ANNA, EMAIL, "Sesame Lane 12", "gift for Zebulon", "Anna Quixotic")
    }
    assert found == {ANNA, EMAIL, "Sesame Lane 12", "gift for Zebulon", "Anna Quixotic"}
    lake = {
        path.split("/")[1]
        for path, _ in traces(shop.folder, *ids_of(shop, ANNA, DEVICE, HER_PHONE))
        if path.startswith("lake/")
    }
    assert {"events", "identities", "orders", "customers", "features", "scores", "segments"} <= lake


def test_afterwards_no_byte_mentions_her_and_the_others_stay(shop_without_her, forgotten):
    shop, done = shop_without_her, forgotten.certificate
    ids = ids_of(shop, ANNA, DEVICE, HER_PHONE)
    assert traces(shop.folder, *NAMES) == []
    assert {(path, one) for path, one in traces(shop.folder, *ids) if not path.startswith("store.db")} == set()
    assert rows_of_others(shop, set()) == forgotten.rows_before
    assert {"m901", "m902", "m903", "m52"} <= set(events_of(shop))
    assert {f"m{n}" for n in (1, 2, 3, 4, 50)} & set(events_of(shop)) == set()
    shared = {row["event_id"]: row for row in shop.lake.read(EVENTS).to_pylist()}
    assert shared["m901"]["anonymous_token"] is None
    assert shared["m902"]["referred_token"] is None
    assert done.erased["rows of events"] == 11
    assert done.erased["dead letters emptied"] == 3
    assert {
        "keys of identifiers",
        "texts",
        "rows of scores",
        "reports deleted",
        "exports deleted",
    } <= done.erased.keys()
    assert done.erased["rows of experiment_arms"] == 1
    assert shop.snapshot().run == forgotten.run
    assert shop.snapshot().query("select count(*) as n from customers")["n"][0].as_py() == 25


def test_before_her_own_product_is_among_the_products_and_in_models(shop):
    places = {"/".join(path.split("/")[:2]) for path, _ in traces(shop.folder, *HERS)}
    assert {"lake/products", "models/recommend"} <= places
    held = {name for path, name in traces(shop.folder, *HERS) if path.startswith("models/")}
    assert HER_PRODUCT in held


def test_models_that_lost_her_product_still_load_and_rank_the_others(shop_without_her):
    shop = shop_without_her
    anybody = pa.table({"customer_id": ["x"], "product_id": pa.array([None], pa.string()), "days_before": [0.0]})
    for path in (shop.folder / "models" / "recommend").rglob("products.json"):
        listed = FittedLists.load(path.parent).predict(anybody)["product_id"].to_pylist()
        assert listed
        assert not {HER_PRODUCT, ERASED} & set(listed)
    assert HER_PRODUCT not in shop.snapshot().query("select product_id from products")["product_id"].to_pylist()


def test_promotions_lose_what_only_she_sent_and_vectors_of_texts_are_erased_whole(rare_shop_without_her, forgotten_all):
    shop, erased = rare_shop_without_her, forgotten_all.certificate.erased
    assert "lake/promotions" in forgotten_all.places_before
    assert (erased["rows of promotions"], erased["rows of text_vectors"]) == (4, 1)
    plan = shop.snapshot().query("select promotion_id, product_id, name from promotions order by promotion_id, name")
    assert [tuple(row.values()) for row in plan.to_pylist()] == [
        ("leaflet", "p2", "Summer"),
        ("leaflet", "p2", None),
        ("m905", "p1", "Sale"),
    ]
    assert shop.lake.read(TEXT_VECTORS).num_rows == 0


def test_a_type_of_message_that_only_she_got_is_in_no_forecast_and_no_model_afterwards(rare_shop_without_her):
    shop = rare_shop_without_her
    version = next(iter(model_registry.model_versions(shop.store)))
    assert shop.lake.read(RESPONSE_FORECASTS)["message_type"].to_pylist() == [OF_ALL]
    assert json.loads((shop.folder / "models" / version / "rates.json").read_text()) == {
        "rates": {"(erased)": 0.1, f"mail/{OF_ALL}": 0.1},
        "levels": [["message_kind", "(erased)"]],
    }


def test_the_log_of_each_table_begins_with_its_newest_version(shop_without_her):
    shop = shop_without_her
    for table in TABLES:
        if table.name in {name for name, one in BY_NAME.items() if {"customer_id", "user_token"} & one.names}:
            log = shop.lake.path(table) / "_delta_log"
            assert {path.name[:20] for path in log.glob("0*")} == {f"{shop.lake.version(table):020d}"}
            on_disk = {str(path) for path in shop.lake.path(table).glob("**/*.parquet") if log not in path.parents}
            assert on_disk == set(shop.lake.files(table))


def test_neither_the_import_nor_the_live_batch_nor_a_new_event_brings_her_back(shop_without_her, filled):
    shop = shop_without_her
    known = events_of(shop)
    again = import_files(shop, [str(filled / "events.jsonl")], "segment", progress=silent, now=datetime.now(UTC))
    assert (again.read, again.stored, again.duplicate, again.rejected) == (4, 0, 1, 3)
    assert again.rejected_by_reason == {"forgotten": 3}
    send_live(shop, annas_messages())
    new = [
        event(60, userId=ANNA, event="Cart Viewed"),
        event(61, userId="new", type="identify", traits={"email": EMAIL.lower()}),
    ]
    send_live(
        shop,
        [
            *new,
            event(62, anonymousId=DEVICE, event="Cart Viewed"),
            event(63, userId=OTHER, anonymousId=DEVICE, event="Cart Viewed"),
        ],
    )
    with shop.lock():
        moved = drain_inbox(shop)
    assert (moved.stored, moved.rejected) == (1, 3)
    [counted] = collector_state(shop).counters
    assert counted.accepted == counted.stored + counted.duplicate + counted.rejected
    assert counted.duplicate == len(annas_messages())
    assert events_of(shop) == sorted([*known, "m63"])
    assert shop.lake.read(EVENTS).filter(pa.compute.field("event_id") == "m63")["anonymous_token"].to_pylist() == [None]
    assert replay(shop, LIVE, mapping=None, progress=silent, now=datetime.now(UTC)).read == 0
    assert replay(shop, again.import_id, mapping=None, progress=silent, now=datetime.now(UTC)).read == 0
    with shop.store.begin() as connection:
        dead_letters = connection.execute(sa.select(DEAD_LETTERS)).all()
    vault = Vault.open(shop)
    assert all(
        vault.unseal(letter.payload, letter.dead_letter_id) == b""
        for letter in dead_letters
        if letter.reason == "forgotten"
    )
    shop.store.scrub()
    assert traces(shop.folder, *NAMES) == []


def test_a_run_runs_afterwards_without_her(shop_without_her):
    shop = shop_without_her
    run_loop(shop, LATER)
    assert customer_id(shop, ANNA) not in shop.lake.read(BY_NAME["customers"])["customer_id"].to_pylist()
    assert shop.lake.read(BY_NAME["customers"]).num_rows == 25
    assert traces(shop.folder, *NAMES) == []
    with pytest.raises(NotFound):
        export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id=ANNA)


WAYS_TO_NAME_HER = (
    {"email": EMAIL.lower()},
    {"phone": "+49 (170) 123-4567"},
    {"anonymous_id": HER_PHONE},
    {"customer_id": None},
)


def named_by(shop: Shop, way: dict[str, str | None]) -> dict[str, str]:
    """A way to name her, with her customer id where it says none."""
    return {how: value or customer_id(shop, ANNA) for how, value in way.items()}


def test_a_person_is_found_by_each_of_her_ids(shop):
    for way in WAYS_TO_NAME_HER:
        found = export_customer(RequestContext.from_name(shop, now=datetime.now(UTC)), **named_by(shop, way))
        assert found["customer_id"] == customer_id(shop, ANNA)


def test_a_device_that_two_users_share_names_neither_of_them(shop):
    forget(RequestContext.from_name(shop, now=datetime.now(UTC)), anonymous_id=DEVICE)
    assert {"m2", "m4", "m901"} <= set(events_of(shop))
    assert "m1" not in events_of(shop)
    assert traces(shop.folder, DEVICE) == []


def test_what_waits_in_the_inbox_is_erased_and_exported_too(rare_shop_without_her, forgotten_all):
    shop = rare_shop_without_her
    assert "late wish" in forgotten_all.exported
    assert {"m70", "m71"} & set(events_of(shop)) == set()
    assert collector_state(shop).waiting_requests == 0


def killed_at(monkeypatch, place: int) -> None:
    steps = list(forgetting.STEPS)

    def kill(_erasure: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(forgetting, "STEPS", (*steps[:place], kill, *steps[place:]))


def state(shop: Shop) -> dict[str, list]:
    """What a workspace holds, without what is made anew each time."""
    return rows_of_others(shop, set()) | {
        "events": events_of(shop),
        "cleaning": shop.lake.read(BY_NAME["cleaning"]).to_pylist(),
    }


def test_killed_between_any_two_steps_it_ends_the_same_when_run_again(shop, forgotten, monkeypatch):
    for place in range(len(forgetting.STEPS) + 1):
        with monkeypatch.context() as patch:
            killed_at(patch, place)
            with pytest.raises(KeyboardInterrupt):
                forget(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id=ANNA)
        # why one check: all of them take longer than the erasure; the whole doctor looks at the end
        assert [one.level for one in CHECKS["audit log"](shop) if one.check == "erasures"] == ["problem"]
    require_forgotten(shop, forgotten, {"user_id": ANNA})


@pytest.mark.parametrize(
    ("place", "way"), [*zip((0, len(forgetting.STEPS) // 2, len(forgetting.STEPS)), WAYS_TO_NAME_HER[:3], strict=True)]
)
def test_killed_once_it_ends_the_same_when_run_again_whichever_id_names_her(shop, forgotten, monkeypatch, place, way):
    with monkeypatch.context() as patch:
        killed_at(patch, place)
        with pytest.raises(KeyboardInterrupt):
            forget(RequestContext.from_name(shop, now=datetime.now(UTC)), **way)
    require_forgotten(shop, forgotten, way)


def require_forgotten(shop: Shop, forgotten: Forgotten, named: dict[str, str]) -> None:
    """Run the erasure again: the workspace is as if nobody had cut it off."""
    done = forget(RequestContext.from_name(shop, now=datetime.now(UTC)), **named)
    assert state(shop) | {"erased": sorted(done.erased.items())} == forgotten.state
    assert traces(shop.folder, *NAMES) == []
    assert shop.snapshot().query("select count(*) as n from customers")["n"][0].as_py() == 25
    assert [finding for finding in doctor(shop.folder) if finding.level == "problem"] == []


@pytest.mark.parametrize(("count", "way"), [(1, WAYS_TO_NAME_HER[3]), (12, {"user_id": ANNA})])
def test_killed_within_the_lake_it_ends_the_same_when_run_again(shop, forgotten, monkeypatch, count, way):
    named = named_by(shop, way)
    for name in ("erase", "delete_history"):
        real: Callable = getattr(Eraser, name)
        calls = iter(range(count))

        def some(*args: object, real: Callable = real, calls: Iterator[int] = calls) -> object:
            if next(calls, None) is None:
                raise KeyboardInterrupt
            return real(*args)

        with monkeypatch.context() as patch:
            patch.setattr(Eraser, name, some)
            with pytest.raises(KeyboardInterrupt):
                forget(RequestContext.from_name(shop, now=datetime.now(UTC)), **named)
    done = forget(RequestContext.from_name(shop, now=datetime.now(UTC)), **named)
    assert state(shop) | {"erased": sorted(done.erased.items())} == forgotten.state
    assert traces(shop.folder, *NAMES) == []


def test_a_run_that_was_cut_off_is_not_what_people_read_afterwards(shop):
    before = shop.snapshot().query("select count(*) as n from orders")["n"][0].as_py()
    shop.lake.replace(BY_NAME["orders"], BY_NAME["orders"].empty())
    forget(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id=ANNA)
    assert shop.snapshot().query("select count(*) as n from orders")["n"][0].as_py() == before - 2
    assert [finding for finding in doctor(shop.folder) if finding.level == "problem"] == []


def test_the_list_of_the_forgotten_gives_nobody_away(rare_shop_without_her):
    shop = rare_shop_without_her
    with shop.store.begin() as connection:
        tokens = list(connection.scalars(sa.select(FORGOTTEN.c.token)))
        assert connection.execute(sa.select(ERASURES)).all() == []
    vault = Vault.open(shop)
    assert set(tokens) == {
        vault.token("user_id", ANNA),
        vault.token("anonymous_id", DEVICE),
        vault.token("anonymous_id", HER_PHONE),
        vault.token("email", EMAIL),
        vault.token("phone", PHONE),
    }
    stranger = Vault(shop.store, derive_keys(b"without the master key"))
    assert stranger.token("email", EMAIL) not in tokens


def test_the_store_keeps_no_deleted_bytes(shop):
    """Not in clear, and not under its key: no free page, nothing deleted left in a page, no log from before."""
    token = Vault.open(shop).token("user_id", ANNA)
    log = shop.folder / "store.db-wal"
    files = [path for path in shop.folder.glob("store.*") if path.is_file()]
    assert not any(token.encode() in path.read_bytes() for path in files)
    with shop.store.begin() as connection:  # something that the log holds
        rows = [{"token": f"t{number}" * 50, "forgotten_at": AS_OF} for number in range(1000)]
        connection.execute(sa.insert(FORGOTTEN), rows)
    size_before = log.stat().st_size
    forget(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id=ANNA)
    with shop.store.begin() as connection:
        pragmas = {name: connection.execute(sa.text(f"pragma {name}")).scalar_one() for name in PRAGMAS}
    assert pragmas == {"freelist_count": 0, "secure_delete": 1}
    assert log.stat().st_size < size_before / 4


PRAGMAS = ("freelist_count", "secure_delete")


def test_the_audit_log_shows_what_was_done_and_that_it_was_not_changed(rare_shop_without_her, forgotten_all):
    shop, done = rare_shop_without_her, forgotten_all.certificate
    log = audit_log.entries(shop.store)
    assert [one.action for one in log] == [
        "exported",
        "exported",
        "exported",
        "key created",
        "key revoked",
        "exported",
        "forgotten",
    ]
    assert log[-1].hash == done.audit_hash
    assert json.loads(log[-1].details)["certificate_id"] == done.certificate_id
    assert audit_log.log_problem(shop) == ""
    with shop.store.begin() as connection:
        connection.execute(sa.update(AUDIT).where(AUDIT.c.entry == 2).values(details='{"customer_id": "x"}'))
    assert [finding.level for finding in doctor(shop.folder) if finding.check == "audit log"] == ["problem"]
    with shop.store.begin() as connection:
        connection.execute(sa.delete(AUDIT).where(AUDIT.c.entry == 2))
    assert "entry 2 was changed" in audit_log.log_problem(shop)


def test_files_of_the_shop_that_name_her_are_reported_and_left(forgotten_all):
    """A list somebody put into the outbox and a Parquet file as well; an export that Patron made there is deleted."""
    left = forgotten_all.certificate.files_left
    assert sorted(left) == ["orders.jsonl", "outbox/calls.txt", "scores.parquet"]
    assert all((forgotten_all.folder / name).exists() for name in left)
    assert not (forgotten_all.folder / "outbox" / "anna.json").exists()


def test_a_report_that_patron_made_is_not_doubted_for_a_figure_that_happens_to_be_an_id(shop):
    """Every report says "90 days"; the customer 90 is not in it."""
    send_live(shop, [event(70, userId="90", event="Cart Viewed")])
    (shop.folder / "list.html").write_text("<p>call 90 on Monday</p>")
    done = forget(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id="90")
    assert done.files_left == ("list.html",)
    assert (shop.folder / "report.html").exists()


def test_nobody_known_or_named_twice_is_refused(shop_without_her):
    shop = shop_without_her
    with pytest.raises(NotFound, match="no customer with email"):
        forget(RequestContext.from_name(shop, now=datetime.now(UTC)), email="nobody@example.org")
    with pytest.raises(SettingsError):
        forget(RequestContext.from_name(shop, now=datetime.now(UTC)), user_id=ANNA, email=EMAIL)


def test_who_was_forgotten_may_be_forgotten_again(shop_without_her, forgotten):
    assert forgotten.certificate.erased
    again = forget(RequestContext.from_name(shop_without_her, now=datetime.now(UTC)), user_id=ANNA)
    assert again.erased == {}


def test_an_outbox_file_names_nobody_any_more_whose_id_a_spreadsheet_would_compute(new_workspace):
    ids = ["=her()", "a;-her", "\t=her", "anna\n@her", "his", "=his()"]
    with closing(Shop.open(new_workspace)) as shop:
        path, vault = shop.folder / "outbox" / "2024-01-01" / "offers_file.csv", Vault.open(shop)
        write_csv(path, ["decision_id", "user_id"], [[f"d{number}", one] for number, one in enumerate(ids)])
        person = Person(tuple(vault.token("user_id", one) for one in ids if "her" in one))
        assert next(iter(erase_from_files(shop, vault, person))) == ("outbox rows, the files rewritten", 4)
        assert path.read_text("utf-8").split() == ["decision_id,user_id", "d4,his", "d5,'=his()"]


def test_an_erasure_goes_on_where_others_work_among_temporary_files(tmp_path):
    stop = threading.Event()

    def work():
        while not stop.is_set():
            folder = tmp_path / "clear-1"
            with suppress(OSError):
                folder.mkdir()
                (folder / "part").write_bytes(b"")
                shutil.rmtree(folder)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(500):
            delete_temporary_path(tmp_path / "clear-1")
    finally:
        stop.set()
        thread.join()
    delete_temporary_path(tmp_path / "clear-1")
    assert not (tmp_path / "clear-1").exists()
