"""Checks of `patron doctor` about files that people touch: what has changed since the last run, and the outbox."""

import os
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from patron.commands.data.findings import Finding
from patron.schema.common_sentences import AT_PLACE
from patron.schema.errors import BadFile
from patron.schema.sentences import Sentence
from patron.schema.tables import PRODUCTS
from patron.storage.shop import POLICY_FILE, SETTINGS_FILE, Shop
from patron.storage.store.store import RUNS
from patron.storage.workspace.run_files import (
    EDGES,
    FILES,
    IMAGES,
    OUTBOX,
    POLICY,
    RULES,
    SETTINGS,
    TRACKING,
    changes,
    digests_of,
    files_of_run,
)
from patron.storage.workspace.workspace_files import IMAGE_VECTORS_FILE, OFFER_RULES_FILE, PRODUCT_EDGES_FILE

DOCTOR_UNKNOWN_PRODUCTS = Sentence(
    "doctor.unknown_products", "{count} of {whole} lines name a product that the shop does not have: lines {names}"
)
DOCTOR_CORRECT_LINES = Sentence("doctor.correct_lines", "Correct their ids, or delete the lines; they do not count.")
DOCTOR_LINES = Sentence("doctor.lines", "{count} lines")
DOCTOR_UNKNOWN_IMAGES = Sentence(
    "doctor.unknown_images", "{count} of {whole} vectors are of products that the shop does not have: {names}"
)
DOCTOR_CORRECT_IMAGES = Sentence(
    "doctor.correct_images", "Write the ids as your events do; until then these vectors do not count."
)
DOCTOR_IMAGES = Sentence("doctor.images", "vectors of {count} products")
DOCTOR_WRITE_AGAIN = Sentence(
    "doctor.write_again", "Write it again: `patron run --as-of {run}`. Until then send nothing of it."
)
DOCTOR_OUTBOX_SOUND = Sentence("doctor.outbox_sound", "{count} files of runs")
DOCTOR_OUTBOX_STATE = Sentence("doctor.outbox_state", "{file} {state} since the run wrote it")
DOCTOR_OUTBOX_CHANGED = Sentence("doctor.outbox_changed", "{file} was changed since the run wrote it")
DOCTOR_DELETE_FILE = Sentence("doctor.delete_file", "Delete the file.")

CHANGES_NAMED, LINES_NAMED = 3, 5
IMAGES_CHECK = "image vectors"
CHANGED_TODO = Sentence(
    "doctor.changed_todo",
    "If nobody intended this, restore the file from a backup; otherwise the change counts from the next run on.",
)
DIGESTS = {TRACKING, EDGES, IMAGES, RULES}
TITLES = {
    SETTINGS: SETTINGS_FILE,
    POLICY: POLICY_FILE,
    TRACKING: "tracking/",
    EDGES: PRODUCT_EDGES_FILE,
    IMAGES: IMAGE_VECTORS_FILE,
    RULES: OFFER_RULES_FILE,
}


def changed_since_run(shop: Shop) -> Iterator[Finding]:
    """What differs from settings, policy, tracking plan, facts of products and offer rules that the last run read."""
    run_id, before = next(_runs(shop), ("", {}))
    if not before:
        return
    now = files_of_run(shop.folder, shop.settings, shop.policy, run_id)
    for part, title in TITLES.items():
        texts = changes(before.get(part, {}), now[part])
        if part in DIGESTS:  # why: a digest tells a reader nothing
            texts = [text if text.endswith((" gone", " new")) else f"{text.partition(' was ')[0]}" for text in texts]
        if texts:
            more = f" and {len(texts) - CHANGES_NAMED} more" if len(texts) > CHANGES_NAMED else ""
            what = f"has changed since the run {run_id}: {'; '.join(texts[:CHANGES_NAMED])}{more}"
            yield Finding(title, "warning", what, CHANGED_TODO)


def product_edges(shop: Shop) -> Iterator[Finding]:
    """Whether the edges between products can be read, and are about products that the shop has."""
    path = shop.folder / PRODUCT_EDGES_FILE
    if not path.exists():
        return
    from patron.recommenders.content import read_edges  # noqa: PLC0415 - with all recommenders, and few shops have edges

    try:
        edges = read_edges(path)
    except BadFile as refused:
        yield Finding("product edges", "problem", AT_PLACE(place=refused.where, reasons=refused.what), refused.todo)
        return
    known = _known_products(shop)
    is_known = pc.and_(*(pc.is_in(edges[name], known) for name in ("product_id", "related_id")))
    lines = edges.filter(pc.invert(is_known))["line"].to_pylist()
    if lines:
        named = ", ".join(map(str, lines[:LINES_NAMED])) + (" and more" if len(lines) > LINES_NAMED else "")
        what = DOCTOR_UNKNOWN_PRODUCTS(count=len(lines), whole=edges.num_rows, names=named)
        yield Finding("product edges", "warning", what, DOCTOR_CORRECT_LINES)
    else:
        yield Finding("product edges", "ok", DOCTOR_LINES(count=edges.num_rows))


def image_vectors(shop: Shop) -> Iterator[Finding]:
    """Whether the vectors of pictures can be read, and are about products that the shop has."""
    path = shop.folder / IMAGE_VECTORS_FILE
    if not os.path.lexists(path):
        return
    from patron.recommenders.content import read_image_vectors  # noqa: PLC0415 - as for edges

    try:
        ids, _ = read_image_vectors(path)
    except BadFile as refused:
        yield Finding(IMAGES_CHECK, "problem", AT_PLACE(place=refused.where, reasons=refused.what), refused.todo)
        return
    known = _known_products(shop)
    unknown = ids.filter(pc.invert(pc.is_in(ids.cast(known.type), known))).to_pylist()
    if unknown:
        named = ", ".join(map(str, unknown[:LINES_NAMED])) + (" and more" if len(unknown) > LINES_NAMED else "")
        what = DOCTOR_UNKNOWN_IMAGES(count=len(unknown), whole=len(ids), names=named)
        yield Finding(IMAGES_CHECK, "warning", what, DOCTOR_CORRECT_IMAGES)
    else:
        yield Finding(IMAGES_CHECK, "ok", DOCTOR_IMAGES(count=len(ids)))


def _known_products(shop: Shop) -> pa.ChunkedArray:
    """Ids of the products that the last run knew."""
    return (shop.lake.read(PRODUCTS) if shop.lake.exists(PRODUCTS) else PRODUCTS.empty())["product_id"]


def outbox(shop: Shop) -> Iterator[Finding]:
    """Whether the outbox holds what the runs wrote; files of earlier runs may have been cleared away."""
    count, is_last = 0, True
    for run_id, files in _runs(shop):
        written, now = files.get(OUTBOX, {}), digests_of(shop.folder / "outbox" / run_id)
        count += len(written)
        for name in (name for name in written if now.get(name) != written[name]):
            file = f"{run_id}/{name}"
            if is_last:
                state = "was changed" if name in now else "is missing"
                todo = DOCTOR_WRITE_AGAIN(run=run_id)
                if name not in now and name.startswith("offers_"):
                    todo = f"If a mail system took it, put a file `sent` there; else an empty {name}. {todo}"
                yield Finding("outbox", "problem", DOCTOR_OUTBOX_STATE(file=file, state=state), todo)
            elif name in now:
                yield Finding("outbox", "problem", DOCTOR_OUTBOX_CHANGED(file=file), DOCTOR_DELETE_FILE)
        is_last = False
    if count:
        yield Finding("outbox", "ok", DOCTOR_OUTBOX_SOUND(count=count))


def _runs(shop: Shop) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """Completed runs, the last one first, and the files that each kept."""
    with shop.store.begin() as connection:
        rows = connection.execute(sa.select(RUNS.c.run_id, RUNS.c.summary).order_by(RUNS.c.as_of.desc())).all()
    for run_id, summary in rows:
        yield run_id, summary.get(FILES, {})
