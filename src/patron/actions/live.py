"""The one-second path: what the inbox holds is folded into profiles at once, and read with the time of the reader.

A profile holds every request up to the number that the store's state names, written in the same transaction: a request
is folded exactly once, and stays in the inbox until it is. The state names the inbox too, for another one numbers anew.
The compactor notes the version of `events` that it leaves behind. Any other version means that events came or went
another way (an import, a turn, a person forgotten): then profiles are built anew from the lake and the inbox, beside
those in use.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property

import duckdb
import sqlalchemy as sa

from patron.actions.inbox import has_inbox, open_inbox
from patron.base.errors import PatronError
from patron.base.shop import Shop
from patron.base.store import WORKSPACE
from patron.base.tables import EVENTS
from patron.collect.compact import rows_ahead
from patron.collect.inbox import Inbox, Waiting
from patron.govern.vault import Vault
from patron.understand.live.fold import ROWS_TOGETHER, profiles_of
from patron.understand.live.keep import State, begin_anew, fold_in, put_in_use, state, write_anew
from patron.understand.live.profile import Profile

LATEST_SECONDS = 0.5
"""How long a request may wait for a wake-up that was missed."""
GATHER_SECONDS = 0.2
"""How long requests gather between two foldings: one costs about as much for a hundred as for one."""
BYTES_TOGETHER = 4_000_000
MOST_BEHIND = 10_000
"""Requests; when profiles are further behind the lake than that, to build them from it is quicker."""
BUILT_FROM = "profiles_events_version"
NO_EVENTS = "none"


class ProfilesBehind(PatronError):
    """Profiles cannot be written now; they are built anew from what is kept."""


@dataclass
class Folder:
    """Folds what waits in the inbox; one thread at a time, others may do the same."""

    shop: Shop
    _opened: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def _inbox(self) -> Inbox:
        inbox = open_inbox(self.shop)
        self._opened.callback(inbox.close)
        return inbox

    @cached_property
    def _con(self) -> duckdb.DuckDBPyConnection:
        return self._opened.enter_context(self.shop.engine.connect())

    def fold(self) -> int:
        """Fold all that waits; return the last request that is in the profiles. Raises InboxDamaged, ProfilesBehind."""
        while True:
            try:
                before = state(self.shop.store)
                folded = before.folded_of(self.inbox_id)
                requests = self.requests(folded) if folded is not None else []
                if not requests:  # why: profiles of another inbox are built anew by who holds the lock
                    return before.folded
                after = State(before.generation, requests[-1].seq, self.inbox_id)
                fold_in(self.shop.store, self.profiles(requests), before, after)
            except PatronError:
                raise
            except Exception as error:
                raise behind(error) from error

    @property
    def inbox_id(self) -> str:
        """Which inbox is folded; empty while there is none."""
        return self._inbox.inbox_id if has_inbox(self.shop) else ""

    def settled(self) -> int:
        """The last request that is in the lake, whether that was noted in the inbox or not."""
        if not has_inbox(self.shop):
            return 0
        return max(self.shop.lake.loaded(EVENTS, self._inbox.load), self._inbox.moved())

    def is_in_time(self) -> bool:
        """Whether profiles hold requests of this inbox, and are not far behind the lake."""
        folded = state(self.shop.store).folded_of(self.inbox_id)
        return folded is not None and self.settled() - folded <= MOST_BEHIND

    def requests(self, after: int) -> list[Waiting]:
        """The oldest requests after one. Raises InboxDamaged."""
        return self._inbox.waiting(after=after, bytes_at_most=BYTES_TOGETHER) if has_inbox(self.shop) else []

    def profiles(self, requests: list[Waiting]) -> list[tuple[str, Profile]]:
        """What requests add to the profile of each token."""
        vault = Vault.open(self.shop)  # why: opened anew, it knows who was forgotten meanwhile
        self._con.register("arrived", rows_ahead(self.shop, vault, self._con, requests))
        return list(profiles_of(self._con, "select * from arrived"))

    def profiles_of_lake(self) -> Iterator[tuple[str, Profile]]:
        """Profile of each token that all events in the lake make."""
        if self.shop.lake.exists(EVENTS):
            events = self.shop.lake.relation(EVENTS)
            ((count,),) = self._con.execute(f"select count(*) from ({events})").fetchall()
            yield from profiles_of(self._con, events, slices=1 + count // ROWS_TOGETHER)

    def close(self) -> None:
        """Close what was opened."""
        self._opened.close()


def behind(error: Exception) -> ProfilesBehind:
    """What to say when profiles cannot be written."""
    return ProfilesBehind(f"live profiles cannot be written ({error})", todo="They are tried again by themselves.")


def rebuild(shop: Shop) -> None:
    """Build all profiles anew from the lake and the inbox; the caller holds the workspace's lock.

    Those in use go on until the new ones hold all that they hold. Raises InboxDamaged, ProfilesBehind.
    """
    folder = Folder(shop)
    try:
        version, inbox_id, last = _version(shop), folder.inbox_id, folder.settled()
        generation = begin_anew(shop.store)
        write_anew(shop.store, generation, folder.profiles_of_lake())
        is_in_use = False
        while not is_in_use:
            before = state(shop.store)
            while requests := folder.requests(last):
                write_anew(shop.store, generation, folder.profiles(requests))
                last = requests[-1].seq
            is_in_use = put_in_use(shop.store, before, State(generation, last, inbox_id))
    except PatronError:
        raise
    except Exception as error:
        raise behind(error) from error
    finally:
        folder.close()
    note(shop, version)


def folded(shop: Shop, inbox: Inbox) -> int:
    """The last request of an inbox that is in the profiles."""
    return state(shop.store).folded_of(inbox.inbox_id) or 0


def fold_now(shop: Shop) -> bool:
    """Fold all that waits, whoever else may; whether there was anything. Raises InboxDamaged, ProfilesBehind."""
    if not _is_in_time(shop):
        rebuild(shop)
        return True
    before = state(shop.store)
    folder = Folder(shop)
    try:
        return folder.fold() > before.folded
    finally:
        folder.close()


def catch_up(shop: Shop) -> None:
    """Build the profiles anew when they are not of these events, or too far behind; the caller holds the lock.

    Raises InboxDamaged, ProfilesBehind.
    """
    if not is_current(shop) or not _is_in_time(shop):
        rebuild(shop)


def _is_in_time(shop: Shop) -> bool:
    folder = Folder(shop)
    try:
        return folder.is_in_time()
    finally:
        folder.close()


def is_current(shop: Shop) -> bool:
    """Whether every event in the lake is in the profiles or came through the inbox."""
    return _noted(shop) == _version(shop)


def was_built(shop: Shop) -> bool:
    """Whether the profiles were ever built from the lake, however long ago."""
    return _noted(shop) != NO_EVENTS or not shop.lake.exists(EVENTS)


def note(shop: Shop, version: str | None = None) -> None:
    """Remember the version of `events` that the profiles go with, the newest one if none is named."""
    row = {"key": BUILT_FROM, "value": version or _version(shop)}
    with shop.store.begin() as connection:
        connection.execute(sa.delete(WORKSPACE).where(WORKSPACE.c.key == BUILT_FROM))
        connection.execute(sa.insert(WORKSPACE).values(row))


def _noted(shop: Shop) -> str:
    with shop.store.begin() as connection:
        return connection.scalar(sa.select(WORKSPACE.c.value).where(WORKSPACE.c.key == BUILT_FROM)) or NO_EVENTS


def _version(shop: Shop) -> str:
    version = shop.lake.version(EVENTS)
    return NO_EVENTS if version is None else str(version)


@dataclass
class LiveThread:
    """Folds soon after each commit of the inbox, for as long as the collector runs."""

    shop: Shop
    trouble: str = ""
    """Why profiles fall behind; empty when all is well."""
    _told: threading.Event = field(default_factory=threading.Event)
    _is_ending: bool = False
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to fold."""
        self._thread = threading.Thread(target=self._run, name="live profiles", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that something was committed."""
        self._told.set()

    def stop(self) -> None:
        """End; what still waits is folded at the next start."""
        self._is_ending = True
        self._told.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        folder = Folder(self.shop)
        while not self._is_ending:
            self._told.wait(LATEST_SECONDS)
            self._told.clear()
            try:
                folder.fold()
                self.trouble = ""
            except PatronError as error:  # why: what is not folded stays in the inbox; the collector goes on
                self.trouble = str(error)
                folder.close()
                folder = Folder(self.shop)
            time.sleep(GATHER_SECONDS)
        folder.close()
