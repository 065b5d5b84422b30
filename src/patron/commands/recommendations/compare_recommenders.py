"""Compare recommenders on a file: anybody's interactions of users with items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from patron.commands.data.table_file import read_table_file
from patron.recommenders import EXTRA_LEARNERS, LEARNERS, RecentPopularity, Recommender, evaluate, split
from patron.schema.errors import BadInteractions, NotFound
from patron.schema.sentences import Sentence

NOBODY_TO_TEST = Sentence("nobody_to_test", "nobody has a row to test on")
NO_COLUMN = Sentence("no_column", "there is no column {name!r}")
NO_RECOMMENDER = Sentence("no_recommender", "no recommender is called {name!r}")
REPEATED_COLUMN = Sentence("repeated_column", "several columns are called {name!r}")
CHECK_USER_TIME = Sentence("check_user_time", "Check --user and --time, or choose another --split.")
CHOOSE_FROM = Sentence("choose_from", "Choose from {names}.")
IT_HAS = Sentence("it_has", "It has {names}.")
RENAME_THEM = Sentence("rename_them", "Rename them.")

MANY_REPEATS = 0.05
"""From this share of test rows on that name an item which their user had before, repeats count."""


@dataclass(frozen=True)
class InteractionColumns:
    """Which columns of a file say what."""

    user: str
    item: str
    time: str | None = None
    weight: str | None = None
    event: str | None = None
    category: str | None = None


@dataclass(frozen=True)
class RecommenderComparison:
    """Recommenders on the test part of anybody's interactions."""

    rows: pa.Table
    """One row per learner, the baseline first; see `patron.recommenders.evaluate`."""
    split: str
    k: int
    train_count: int
    test_count: int
    user_count: int
    """Users of the test part."""
    repeat_share: float
    """Share of the test rows that name an item which their user had before, 0 to 1."""
    is_repeating: bool
    """Whether items that a user had before are recommended and count."""


def compare_recommenders(  # noqa: PLR0913 - one argument for each option of the command
    path: Path,
    columns: InteractionColumns,
    *,
    how: str = "leave-last",
    k: int = 10,
    learners: Sequence[str] | None = None,
    repeats: bool | None = None,
    seed: int = 0,
    delimiter: str | None = None,
    encoding: str = "utf-8",
) -> RecommenderComparison:
    """Read a file, split it by time and compare recommenders; `repeats` None is decided by the test part.

    Raises BadFile, BadInteractions, NotEnoughData, and NotFound for a recommender that does not exist.
    """
    chosen = _learners_by_name(learners)
    file = read_table_file(path, delimiter=delimiter, encoding=encoding, ids=(columns.user, columns.item))
    table = _interactions(file, columns, where=str(path))
    train, test = split(table, how)
    if not test.num_rows:
        what = NOBODY_TO_TEST
        raise BadInteractions(what, where=str(path), todo=CHECK_USER_TIME)
    repeat_share = pc.mean(pc.is_in(_pairs(test), _pairs(train))).as_py()
    is_repeating = repeat_share >= MANY_REPEATS if repeats is None else repeats
    rows = evaluate(train, test, chosen, k=k, exclude_seen=not is_repeating, seed=seed)
    users = len(pc.unique(test["user_id"]))
    return RecommenderComparison(
        rows,
        how,
        k=k,
        train_count=train.num_rows,
        test_count=test.num_rows,
        user_count=users,
        repeat_share=repeat_share,
        is_repeating=is_repeating,
    )


def _learners_by_name(names: Sequence[str] | None) -> Mapping[str, Recommender]:
    """Learners to compare, the baseline first; those that need an extra only by name. Raises NotFound."""
    kinds = {**LEARNERS, **EXTRA_LEARNERS}
    unknown = [name for name in names or () if name not in kinds]
    if unknown:
        raise NotFound(NO_RECOMMENDER(name=unknown[0]), todo=CHOOSE_FROM(names=", ".join(kinds)))
    return {name: kinds[name]() for name in (RecentPopularity.name, *(names or LEARNERS))}


def _interactions(table: pa.Table, columns: InteractionColumns, *, where: str) -> pa.Table:
    """The named columns, under the names that recommenders know. Raises BadInteractions."""
    names = {
        "user_id": columns.user,
        "item_id": columns.item,
        "at": columns.time,
        "weight": columns.weight,
        "event": columns.event,
        "category": columns.category,
    }
    missing = [name for name in names.values() if name and name not in table.column_names]
    if missing:
        what = NO_COLUMN(name=missing[0])
        raise BadInteractions(what, where=where, todo=IT_HAS(names=", ".join(table.column_names)))
    repeated = [name for name in names.values() if name and table.column_names.count(name) > 1]
    if repeated:
        raise BadInteractions(REPEATED_COLUMN(name=repeated[0]), where=where, todo=RENAME_THEM)
    return pa.table({name: table[column] for name, column in names.items() if column})


def _pairs(table: pa.Table) -> pa.ChunkedArray:
    user, item = (table[name].cast(pa.string()) for name in ("user_id", "item_id"))
    return pc.binary_join_element_wise(user, item, "\x1f")
