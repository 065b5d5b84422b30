"""Load raw events: personal data into the vault, new events into the lake, rejected ones into the dead letters.

The order of writes makes it safe to be killed between any two of them: tokens and texts first, because an event whose
token cannot be revealed would be lost, while a token without an event harms nobody and is found by the next load; then
one atomic commit to the lake; dead letters last, under ids of their own, so that a repeated load writes the same
letters again and finds the stored rows to be duplicates.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from patron.collect.consent_check import ConsentCheck, consents_of
from patron.collect.contact_tokens import card_changes, contact_tokens, scatter
from patron.collect.event_flags import TEST, add_flag
from patron.collect.inbox import pending_sources
from patron.collect.personal_columns import replace_personal_values, replaced_identifiers
from patron.collect.raw_objects import split_objects
from patron.collect.suppression import reject_forgotten
from patron.collect.validation import problem_message, validation_sql
from patron.govern.customers.contact_cards import update_cards
from patron.govern.privacy.consent_ledger import seal_clear_words, write_consents
from patron.govern.vault import Vault
from patron.schema.data.counts import IngestionCounts
from patron.schema.data.dead_letter_reasons import WITHOUT_CONTENT
from patron.schema.data.raw_events import RAW_EVENTS
from patron.schema.table_definition import TIME
from patron.schema.tables import EVENTS
from patron.storage.shop import PATIENCE_SECONDS, Shop
from patron.storage.store.store import DEAD_LETTERS, upsert

EVENT_SOURCE = "patron"
"""Source of the events that the loop itself makes."""
KnownFrom = Literal["received", "occurred"]
"""Whether a fact is known when it is received (live), or when it happened (history)."""


@dataclass
class LakeVersion:
    """The version of `events` whose ids a loader knows."""

    number: int | None = None


@dataclass(frozen=True)
class EventLoader:
    """Writes the events of one source that are not in the lake yet; others may write between two loads."""

    shop: Shop
    vault: Vault
    con: duckdb.DuckDBPyConnection
    source: str
    known: KnownFrom
    received_at: datetime
    import_id: str
    by_event: dict[str, IngestionCounts] = dataclass_field(default_factory=dict)
    """What was loaded so far, by the event's name; rows that could not be read have none."""
    known_until: LakeVersion = dataclass_field(default_factory=LakeVersion)

    @property
    def currencies(self) -> set[str]:
        """Currencies whose amounts we can convert."""
        return {self.shop.settings.shop.currency, *self.shop.settings.rates}

    def load(self, rows: pa.Table, *, file: str = "") -> IngestionCounts:
        """Store validated rows (RAW_EVENTS, row_number, problem, payload); return their counts."""
        with self.shop.commit_lock(timeout_seconds=PATIENCE_SECONDS):
            self._catch_up()
            return self._load(rows, file)

    def _load(self, rows: pa.Table, file: str) -> IngestionCounts:
        rows = replace_personal_values(self.vault, rows)
        rows = self.check_consent(self.write_consents(rows))
        is_good = pc.is_null(rows["problem"])
        good, bad = rows.filter(is_good), rows.filter(pc.invert(is_good))
        fresh = self.without_stored(good)
        events = self.event_rows(fresh)
        if fresh.num_rows:
            self.known_until.number = self.shop.lake.append(EVENTS, events)
            self.shop.fix_currency()
            self._add_stored_ids(fresh)
        self.write_dead_letters(bad, file)
        return self.count(good, fresh, bad)

    def count(self, good: pa.Table, fresh: pa.Table, bad: pa.Table) -> IngestionCounts:
        """Count good rows, those of them that are new, and rejected ones, in all and by event."""
        stored, rejected = _by_name(fresh), _by_name(bad)
        duplicate = _by_name(good) - stored
        for name in stored | duplicate | rejected:
            counts = IngestionCounts(stored=stored[name], duplicate=duplicate[name], rejected=rejected[name])
            self.by_event[name] = self.by_event.get(name, IngestionCounts()) + counts
        return IngestionCounts(stored=fresh.num_rows, duplicate=good.num_rows - fresh.num_rows, rejected=bad.num_rows)

    def write_consents(self, rows: pa.Table) -> pa.Table:
        """Reject rows about forgotten people, flag test traffic, and write the consent events to the ledger."""
        rows = reject_forgotten(self.vault, rows)
        if self.source in self.shop.settings.collect.test_sources:
            rows = add_flag(rows, TEST)
        is_good = pc.is_null(rows["problem"])
        consents = consents_of(self.vault, self.source, rows.filter(is_good), self._known_at(rows).filter(is_good))
        if write_consents(self.shop.store, consents):
            seal_clear_words(self.shop.store, self.vault.seal_text)
        return rows

    def check_consent(self, rows: pa.Table) -> pa.Table:
        """Flag or reject rows without the consent they need; the rows' own consents must be in the ledger."""
        consent_check = ConsentCheck(self.shop.store, self.vault, self.shop.policy.consent)
        return consent_check.apply(rows, self._known_at(rows))

    def _known_at(self, rows: pa.Table) -> pa.ChunkedArray:
        """When each row was known: its own `known_at`, else as the loader's `known` says."""
        if "known_at" in rows.column_names:
            return rows["known_at"]
        if self.known == "occurred":
            return rows["occurred_at"]
        return pa.chunked_array([pa.repeat(pa.scalar(self.received_at, TIME), rows.num_rows)])

    def event_rows(self, rows: pa.Table) -> pa.Table:
        """Store personal values in the vault; return rows of `events`. A row's own times win over the loader's."""
        tokens = self._tokens(rows)
        self._store_texts(rows, tokens)
        update_cards(self.shop.store, self.vault, card_changes(rows, tokens["user_id"]))
        return self._events(rows, tokens)

    def without_stored(self, rows: pa.Table) -> pa.Table:
        """Rows whose event is not in the lake (see `read_stored_ids`), each event once."""
        ids = pa.table({"event_id": rows["event_id"], "n": pa.array(range(rows.num_rows), pa.int64())})
        self.con.register("raw_ids", ids)
        first = "select md5_number(event_id) as h, min(n) as n from raw_ids group by h"
        chosen = self.con.sql(f"select n from ({first}) anti join stored_ids using (h) order by n").to_arrow_table()
        self.con.unregister("raw_ids")
        return rows if chosen.num_rows == rows.num_rows else rows.take(chosen["n"])

    def read_stored_ids(self) -> None:
        """Read the ids of the source's events in the lake."""
        self.con.execute("create or replace table stored_ids (h uhugeint)")
        self.shop.lake.sync_commits(EVENTS)  # why: an event that is called a duplicate must be on disk
        self.known_until.number = self.shop.lake.version(EVENTS)
        self._insert_ids(self.shop.lake.relation(EVENTS, self.known_until.number))

    def _insert_ids(self, relation: str) -> None:
        stored = f"select event_id from ({relation}) where source = ?"
        self.con.execute(f"insert into stored_ids select md5_number(event_id) from ({stored})", [self.source])

    def _catch_up(self) -> None:
        """Learn what others have stored and forgotten since the last load; what we store, the inbox has to learn."""
        self.vault.reload_forgotten()
        pending_sources.add_pending(self.shop.store, [self.source])
        lake = self.shop.lake
        known = self.known_until.number
        now = self.shop.lake.version(EVENTS)
        if now == known:
            return
        added = None if known is None or now is None else lake.files_added(EVENTS, known, now)
        if added is None:
            self.read_stored_ids()
        else:
            self._insert_ids(lake.relation(EVENTS, now, only=added))
            self.known_until.number = now

    def _add_stored_ids(self, rows: pa.Table) -> None:
        self.con.register("raw_ids", rows.select(["event_id"]))
        self.con.execute("insert into stored_ids select md5_number(event_id) from raw_ids")
        self.con.unregister("raw_ids")

    def _tokens(self, rows: pa.Table) -> dict[str, pa.Array]:
        kinds = {"user_id": "user_id", "anonymous_id": "anonymous_id", "referred_user_id": "user_id"}
        stored = {
            column: self.vault.store_tokens(kind, rows[column], self.received_at)
            if rows[column].null_count < rows.num_rows
            else pa.nulls(rows.num_rows, pa.string())
            for column, kind in kinds.items()
        }
        identifiers = replaced_identifiers(self.vault, rows)
        self.vault.store_tokens("identifier", pa.array(identifiers, pa.string()), self.received_at)
        return stored | {"previous_token": self._previous(rows)} | contact_tokens(self.vault, rows)

    def _previous(self, rows: pa.Table) -> pa.Array:
        """Token of the previous id of an Alias, taken as a user id; if it is one, the vault has stored it before."""
        is_alias = pc.and_(pc.equal(rows["name"], "Alias"), pc.is_valid(rows["anonymous_id"]))
        previous_ids = rows["anonymous_id"].filter(is_alias).to_pylist()
        return scatter(is_alias, [self.vault.token("user_id", previous_id) for previous_id in previous_ids])

    def _store_texts(self, rows: pa.Table, tokens: dict[str, pa.Array]) -> None:
        subject = pc.coalesce(tokens["user_id"], tokens["anonymous_id"])
        for name in ("personal", "texts"):
            has_text = pc.is_valid(rows[name])
            some = rows.filter(has_text)
            if some.num_rows == 0:
                continue
            ids = some["event_id"]
            subjects = subject.filter(has_text.combine_chunks() if isinstance(has_text, pa.ChunkedArray) else has_text)
            if subjects.null_count:  # why: nobody did it (a catalogue row), so the text gets a key of its own
                event_tokens = self.vault.store_tokens(
                    "event", pc.binary_join_element_wise(self.source, ids, "/"), self.received_at
                )
                subjects = pc.coalesce(subjects, event_tokens)
            parts = (ids.to_pylist(), [name] * some.num_rows, subjects.to_pylist(), some[name].to_pylist())
            self.vault.store_texts(self.source, zip(*parts, strict=True))

    def _events(self, rows: pa.Table, tokens: dict[str, pa.Array]) -> pa.Table:
        size = rows.num_rows
        type_ = EVENTS.schema().field("received_at").type
        has_times = "received_at" in rows.column_names
        received = rows["received_at"].cast(type_) if has_times else pa.repeat(pa.scalar(self.received_at, type_), size)
        columns: dict[str, Any] = {
            "source": pa.repeat(pa.scalar(self.source), size),
            "user_token": tokens["user_id"],
            "anonymous_token": tokens["anonymous_id"],
            "referred_token": tokens["referred_user_id"],
            **{name: tokens[name] for name in ("previous_token", "email_token", "phone_token")},
            "received_at": received,
            "known_at": self._known_at(rows).cast(type_),
            "month": pc.strftime(rows["occurred_at"], "%Y-%m"),
        }
        return pa.table(
            {c.name: columns.get(c.name, rows[c.name] if c.name in RAW_EVENTS.names else None) for c in EVENTS.columns}
        )

    def write_dead_letters(self, rows: pa.Table, file: str) -> None:
        """Write rejected rows with their reason, encrypted, without content of the forgotten; repeatable."""
        letters = []
        has_times = "received_at" in rows.column_names
        times = rows["received_at"].to_pylist() if has_times else [self.received_at] * rows.num_rows
        columns = (rows[name].to_pylist() for name in ("row_number", "problem", "payload", "order_id"))
        for number, problem, payload, order_id, received_at in zip(*columns, times, strict=True):
            dead_letter_id = self._dead_letter_id(file, number, payload or "")
            reason, message = problem_message(problem, order_id)
            content = b"" if reason in WITHOUT_CONTENT else (payload or "").encode()
            letters.append(
                {
                    "dead_letter_id": dead_letter_id,
                    "import_id": self.import_id,
                    "source": self.source,
                    "file": file,
                    "row_number": number,
                    "reason": reason,
                    "message": message,
                    "payload": self.vault.seal(content, dead_letter_id),
                    "created_at": received_at,
                }
            )
        if letters:
            with self.shop.store.begin() as connection:
                upsert(connection, DEAD_LETTERS, letters, update=("import_id", "reason", "message"))

    def _dead_letter_id(self, file: str, number: int, payload: str) -> str:
        content = json.dumps([self.source, file, number, payload]).encode()
        return hashlib.blake2b(content, key=bytes.fromhex(self.vault.row_key), digest_size=16).hexdigest()


def _by_name(rows: pa.Table) -> Counter[str]:
    """Rows by the name of their event."""
    return Counter({row["values"].as_py() or "": row["counts"].as_py() for row in rows["name"].value_counts()})


@contextmanager
def open_loader(
    shop: Shop, *, source: str, known: KnownFrom, received_at: datetime, import_id: str = ""
) -> Iterator[EventLoader]:
    """Open a loader for events of a source that come past the inbox. Raises MasterKeyError, NoSpace."""
    vault = Vault.open(shop)
    pending_sources.add_pending(shop.store, [source])
    with shop.engine.connect() as con:
        loader = EventLoader(
            shop, vault, con=con, source=source, known=known, received_at=received_at, import_id=import_id
        )
        loader.read_stored_ids()
        yield loader


def load_events(
    shop: Shop, raw_events: pa.Table, *, source: str, known: KnownFrom, received_at: datetime
) -> IngestionCounts:
    """Load raw events (columns of RAW_EVENTS; missing ones are NULL): tokens, vault, lake, dead letters. Idempotent.

    Raises MasterKeyError, and NoSpace when the disk is full: then nothing of a commit is half-written.
    """
    with open_loader(shop, source=source, known=known, received_at=received_at) as loader:
        return loader.load(split_objects(validate_raw_events(loader, raw_events)))


def validate_raw_events(loader: EventLoader, raw_events: pa.Table) -> pa.Table:
    """Add the row number, the problem and (of rejected rows) the payload."""
    full = pa.table(
        {
            f.name: raw_events[f.name] if f.name in raw_events.column_names else pa.nulls(raw_events.num_rows, f.type)
            for f in RAW_EVENTS
        }
    )
    try:
        rows_to_check = full.cast(RAW_EVENTS)
    except pa.ArrowException as error:
        raise ValueError(", ".join(_not_of_their_type(full))) from error
    problem = (
        raw_events["problem"] if "problem" in raw_events.column_names else pa.nulls(raw_events.num_rows, pa.string())
    )
    number = (
        raw_events["row_number"]
        if "row_number" in raw_events.column_names
        else pa.array(range(1, raw_events.num_rows + 1), pa.int64())
    )
    rows_to_check = rows_to_check.append_column("row_number", number).append_column("problem", problem)
    payload_column = (
        raw_events["payload"] if "payload" in raw_events.column_names else pa.nulls(raw_events.num_rows, pa.string())
    )
    rows_to_check = rows_to_check.append_column("payload", payload_column)
    loader.con.register("raw_events", rows_to_check)
    inner = validation_sql("select * from raw_events", loader.currencies)
    payload = "case when problem is not null then coalesce(payload, to_json(t)) end"
    rows = loader.con.sql(
        f"select * replace ({payload} as payload) from ({inner}) t order by row_number"
    ).to_arrow_table()
    loader.con.unregister("raw_events")
    return rows


def _not_of_their_type(rows: pa.Table) -> Iterator[str]:
    """Columns that cannot be what raw events need."""
    for of in RAW_EVENTS:
        try:
            rows[of.name].cast(of.type)
        except pa.ArrowException:
            yield of.name
