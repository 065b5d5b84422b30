"""Every byte of a workspace, as it is on disk and decoded: Parquet by column, compressed files, rows of the store."""

import gzip
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow.parquet as pq
import sqlalchemy as sa

from patron.storage.shop import Shop

GRAM = 8
"""Bytes at the end of a value by which it is looked for first: thousands of values at once."""


def workspace_bytes(shop: Shop) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, decoded too where it is compressed, and of each table of the store."""
    for path in sorted(one for one in shop.folder.rglob("*") if one.is_file()):
        place, content = str(path.relative_to(shop.folder)), path.read_bytes()
        yield f"{place} (its name)", place.encode()
        yield place, content
        for part in decoded(content):
            yield f"{place} (decoded)", part
    with shop.store.begin() as connection:
        for table in sa.inspect(connection).get_table_names():
            rows = connection.execute(sa.text(f'select * from "{table}"'))
            cells = (
                one if isinstance(one, bytes) else str(one).encode(errors="replace") for row in rows for one in row
            )
            yield f"store, {table}", b"\n".join(cells)


def decoded(content: bytes) -> Iterator[bytes]:
    """What a compressed file holds."""
    if content.startswith(b"PAR1"):
        file = pq.ParquetFile(io.BytesIO(content))
        yield json.dumps(file.read().to_pylist(), default=str, ensure_ascii=False).encode(errors="replace")
        yield str(file.metadata.to_dict()).encode()
    elif content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    elif content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content)
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                file = archive.extractfile(member)
                if file:
                    inside = file.read()
                    yield inside
                    yield from decoded(inside)


def mentions(shop: Shop, values: Iterable[str]) -> dict[str, list[str]]:
    """The values, of eight bytes or more, that are in clear, each with the places; also as JSON writes them."""
    forms = {form: value for value in values for form in (value.encode(), json.dumps(value)[1:-1].encode())}
    by_end: dict[int, list[bytes]] = {}
    for form in forms:
        by_end.setdefault(int.from_bytes(form[-GRAM:], "little"), []).append(form)
    ends = np.array(sorted(by_end), np.uint64)
    found: dict[str, list[str]] = {}
    for place, content in workspace_bytes(shop):
        for form in (form for end in grams_among(content, ends) for form in by_end[end]):
            if form in content and (not form.isdigit() or alone(form).search(content)):
                found.setdefault(forms[form], []).append(place)
    return found


def alone(digits: bytes) -> re.Pattern[bytes]:
    """Digits that are no part of a longer number or of a hash."""
    return re.compile(rb"(?<![0-9A-Za-z])" + digits + rb"(?![0-9A-Za-z])")


def grams_among(content: bytes, ends: np.ndarray) -> list[int]:
    """Which of these sequences of eight bytes are in a content, at any place."""
    hits: set[int] = set()
    for start in range(min(GRAM, max(len(content) - GRAM + 1, 0))):
        count = (len(content) - start) // GRAM
        windows = np.frombuffer(content, "<u8", count, start)
        nearest = ends[np.minimum(np.searchsorted(ends, windows), len(ends) - 1)]
        hits.update(windows[nearest == windows].tolist())
    return sorted(hits)
