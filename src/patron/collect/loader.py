"""Told rows become events: personal data to the vault, duplicates left out, the rest durably into the lake.

The order of writes is what makes it safe to be killed between any two: tokens and texts first, because an event whose
token cannot be revealed would be lost, while a token without an event harms nobody and the next run finds it; then one
commit to the lake, whole or not at all; dead letters last, under ids of their own, so that a repeated run writes the
same letters again and finds the stored rows to be duplicates.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from patron.collect import pending_sources
from patron.collect.consent_check import Judge, told_consents
from patron.collect.contact_tokens import contact_tokens, placed
from patron.collect.event_flags import TEST, add_flag
from patron.collect.suppression import without_forgotten
from patron.collect.validation import checked, message_of
from patron.govern.consent_ledger import record
from patron.govern.vault import Vault
from patron.schema.counts import IngestionCounts
from patron.schema.dead_letter_reasons import WITHOUT_CONTENT
from patron.schema.raw_events import TOLD
from patron.schema.table_definition import TIME
from patron.schema.tables import EVENTS
from patron.storage.shop import Shop
from patron.storage.store import DEAD_LETTERS, upsert

Known = Literal["received", "occurred"]
"""Whether a fact is known when we are told it (live), or when it happened (history)."""

EXTRA = (pa.field("row_number", pa.int64()), pa.field("problem", pa.string()), pa.field("payload", pa.string()))


@dataclass(frozen=True)
class Intake:
    """An open door to `events` for one source; remembers which events are stored already."""

    shop: Shop
    vault: Vault
    con: duckdb.DuckDBPyConnection
    source: str
    known: Known
    received_at: datetime
    import_id: str

    @property
    def currencies(self) -> set[str]:
        """Currencies whose amounts we can convert."""
        return {self.shop.settings.shop.currency, *self.shop.settings.rates}

    def take(self, rows: pa.Table, *, file: str = "") -> IngestionCounts:
        """Store checked rows (TOLD, row_number, problem, payload) and say what became of them."""
        rows = self.lawful(self.told(rows))
        is_good = pc.is_null(rows["problem"])
        good, bad = rows.filter(is_good), rows.filter(pc.invert(is_good))
        fresh = self.not_stored(good)
        events = self.prepared(fresh)
        if fresh.num_rows:
            self.shop.lake.append(EVENTS, events)
            self._remember(fresh)
        self.bury(bad, file)
        return IngestionCounts(stored=fresh.num_rows, duplicate=good.num_rows - fresh.num_rows, rejected=bad.num_rows)

    def told(self, rows: pa.Table) -> pa.Table:
        """Mark checked rows of the forgotten and test traffic; what others tell of consent is in the ledger then."""
        rows = without_forgotten(self.vault, rows)
        if self.source in self.shop.settings.collect.test_sources:
            rows = add_flag(rows, TEST)
        is_good = pc.is_null(rows["problem"])
        record(
            self.shop.store,
            told_consents(self.vault, self.source, rows.filter(is_good), self._known_at(rows).filter(is_good)),
        )
        return rows

    def lawful(self, rows: pa.Table) -> pa.Table:
        """Mark told rows without the consent they need, once the ledger holds what was told with them."""
        judge = Judge(self.shop.store, self.vault, self.shop.policy.consent)
        return judge.judged(rows, self._known_at(rows))

    def _known_at(self, rows: pa.Table) -> pa.ChunkedArray:
        """Since when rows can be known; times of a row's own win over the door's."""
        if "known_at" in rows.column_names:
            return rows["known_at"]
        if self.known == "occurred":
            return rows["occurred_at"]
        return pa.chunked_array([pa.repeat(pa.scalar(self.received_at, TIME), rows.num_rows)])

    def prepared(self, rows: pa.Table) -> pa.Table:
        """Rows of `events`, after the vault has taken what is personal; times of a row's own win over the door's."""
        tokens = self._tokens(rows)
        self._keep_texts(rows, tokens)
        return self._events(rows, tokens)

    def not_stored(self, rows: pa.Table) -> pa.Table:
        """Rows whose ids are not among those of `look_up_stored`, the first of equal ones."""
        ids = pa.table({"event_id": rows["event_id"], "n": pa.array(range(rows.num_rows), pa.int64())})
        self.con.register("told_ids", ids)
        first = "select md5_number(event_id) as h, min(n) as n from told_ids group by h"
        chosen = self.con.sql(f"select n from ({first}) anti join stored_ids using (h) order by n").to_arrow_table()
        self.con.unregister("told_ids")
        return rows if chosen.num_rows == rows.num_rows else rows.take(chosen["n"])

    def look_up_stored(self) -> None:
        """Know which events of the source are in the lake."""
        self.con.execute("create or replace table stored_ids (h uhugeint)")
        stored = f"select event_id from ({self.shop.lake.relation(EVENTS)}) where source = ?"
        self.con.execute(f"insert into stored_ids select md5_number(event_id) from ({stored})", [self.source])

    def _remember(self, rows: pa.Table) -> None:
        self.con.register("told_ids", rows.select(["event_id"]))
        self.con.execute("insert into stored_ids select md5_number(event_id) from told_ids")
        self.con.unregister("told_ids")

    def _tokens(self, rows: pa.Table) -> dict[str, pa.Array]:
        kinds = {"user_id": "user_id", "anonymous_id": "anonymous_id", "referred_user_id": "user_id"}
        stored = {
            column: self.vault.tokens(kind, rows[column], self.received_at)
            if rows[column].null_count < rows.num_rows
            else pa.nulls(rows.num_rows, pa.string())
            for column, kind in kinds.items()
        }
        return stored | {"previous_token": self._previous(rows)} | contact_tokens(self.vault, rows)

    def _previous(self, rows: pa.Table) -> pa.Array:
        """Token of an alias' previous id read as a user id; where it is one, the vault has it anyway."""
        is_alias = pc.and_(pc.equal(rows["name"], "Alias"), pc.is_valid(rows["anonymous_id"]))
        told = rows["anonymous_id"].filter(is_alias).to_pylist()
        return placed(is_alias, [self.vault.token("user_id", one) for one in told])

    def _keep_texts(self, rows: pa.Table, tokens: dict[str, pa.Array]) -> None:
        subject = pc.coalesce(tokens["user_id"], tokens["anonymous_id"])
        for field in ("personal", "texts"):
            told = pc.is_valid(rows[field])
            some = rows.filter(told)
            if some.num_rows == 0:
                continue
            ids = some["event_id"]
            whose = subject.filter(told.combine_chunks() if isinstance(told, pa.ChunkedArray) else told)
            if whose.null_count:  # why: nobody did it (a catalogue row), so the text gets a key of its own
                own = self.vault.tokens("event", pc.binary_join_element_wise(self.source, ids, "/"), self.received_at)
                whose = pc.coalesce(whose, own)
            parts = (ids.to_pylist(), [field] * some.num_rows, whose.to_pylist(), some[field].to_pylist())
            self.vault.keep_texts(self.source, zip(*parts, strict=True))

    def _events(self, rows: pa.Table, tokens: dict[str, pa.Array]) -> pa.Table:
        size = rows.num_rows
        type_ = EVENTS.schema().field("received_at").type
        has_own = "received_at" in rows.column_names
        received = rows["received_at"].cast(type_) if has_own else pa.repeat(pa.scalar(self.received_at, type_), size)
        made: dict[str, Any] = {
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
            {c.name: made.get(c.name, rows[c.name] if c.name in TOLD.names else None) for c in EVENTS.columns}
        )

    def bury(self, rows: pa.Table, file: str) -> None:
        """Keep dead rows with their reason, sealed (of the forgotten nothing); the same row again changes nothing."""
        letters = []
        has_times = "received_at" in rows.column_names
        times = rows["received_at"].to_pylist() if has_times else [self.received_at] * rows.num_rows
        told = (rows[name].to_pylist() for name in ("row_number", "problem", "payload"))
        for number, problem, payload, received_at in zip(*told, times, strict=True):
            dead_letter_id = self._dead_letter_id(file, number, payload or "")
            reason, message = message_of(problem)
            kept = b"" if reason in WITHOUT_CONTENT else (payload or "").encode()
            letters.append(
                {
                    "dead_letter_id": dead_letter_id,
                    "import_id": self.import_id,
                    "source": self.source,
                    "file": file,
                    "row_number": number,
                    "reason": reason,
                    "message": message,
                    "payload": self.vault.seal(kept, dead_letter_id),
                    "created_at": received_at,
                }
            )
        if letters:
            with self.shop.store.begin() as connection:
                upsert(connection, DEAD_LETTERS, letters, update=("import_id", "reason", "message"))

    def _dead_letter_id(self, file: str, number: int, payload: str) -> str:
        content = json.dumps([self.source, file, number, payload]).encode()
        return hashlib.blake2b(content, key=bytes.fromhex(self.vault.row_key), digest_size=16).hexdigest()


@contextmanager
def opened(shop: Shop, *, source: str, known: Known, received_at: datetime, import_id: str = "") -> Iterator[Intake]:
    """Open the intake of a source, which the inbox does not know of. Raises MasterKeyError, NoSpace."""
    vault = Vault.open(shop)
    pending_sources.mark(shop.store, [source])
    with shop.engine.connect() as con:
        intake = Intake(shop, vault, con, source, known, received_at, import_id)
        intake.look_up_stored()
        yield intake


def accept(shop: Shop, told: pa.Table, *, source: str, known: Known, received_at: datetime) -> IngestionCounts:
    """Take told events (columns of TOLD; missing ones are NULL): tokens, vault, lake, dead letters. Idempotent.

    Raises MasterKeyError, and NoSpace when the disk is full: then nothing of a commit is half-written.
    """
    with opened(shop, source=source, known=known, received_at=received_at) as intake:
        return intake.take(check_told(intake, told))


def check_told(intake: Intake, told: pa.Table) -> pa.Table:
    """Give told rows their row number, problem and (for the dead) payload."""
    full = pa.table(
        {f.name: told[f.name] if f.name in told.column_names else pa.nulls(told.num_rows, f.type) for f in TOLD}
    )
    numbered = full.cast(TOLD)
    problem = told["problem"] if "problem" in told.column_names else pa.nulls(told.num_rows, pa.string())
    number = (
        told["row_number"] if "row_number" in told.column_names else pa.array(range(1, told.num_rows + 1), pa.int64())
    )
    numbered = numbered.append_column("row_number", number).append_column("problem", problem)
    given = told["payload"] if "payload" in told.column_names else pa.nulls(told.num_rows, pa.string())
    numbered = numbered.append_column("payload", given)
    intake.con.register("told_rows", numbered)
    inner = checked("select * from told_rows", intake.currencies)
    payload = "case when problem is not null then coalesce(payload, to_json(t)) end"
    rows = intake.con.sql(
        f"select * replace ({payload} as payload) from ({inner}) t order by row_number"
    ).to_arrow_table()
    intake.con.unregister("told_rows")
    return rows
