"""Catalogues, compiled: a `.po` file is read once, into JSON that a process loads in milliseconds.

The wheel carries the compiled files. A checkout keeps them in the user's cache, one a content of the `.po` file; where
that folder cannot be written, each process reads the `.po` file itself.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Texts = dict[str, str | tuple[str, ...]]


def compiled_name(locale: str, source: bytes) -> str:
    """Name of the compiled file of a `.po` file's content."""
    return f"{locale}-{hashlib.sha256(source).hexdigest()[:16]}.json"


def compile_catalogue(source: Path) -> str:
    """The texts of a `.po` file by key, and its rule of plurals, as JSON."""
    # why here: the compiled file needs no Babel
    from babel.messages.pofile import read_po  # noqa: PLC0415

    with source.open("rb") as file:
        catalogue = read_po(file)
    texts: dict[str, Any] = {}
    for message in catalogue:
        if message.id:
            texts[message.id if isinstance(message.id, str) else message.id[0]] = message.string
    return json.dumps({"plural": catalogue.plural_expr, "texts": texts}, ensure_ascii=False)


def read_catalogue(locale: str) -> tuple[Texts, str]:
    """Texts of a language by key, and its rule of plurals."""
    source = HERE / f"{locale}.po"
    name = compiled_name(locale, source.read_bytes())
    text = _compiled(HERE / name) or _compiled(cache_folder() / name)
    if text is None:
        text = compile_catalogue(source)
        with suppress(OSError):
            _write(cache_folder() / name, text)
    stored = json.loads(text)
    return {key: tuple(one) if isinstance(one, list) else one for key, one in stored["texts"].items()}, stored["plural"]


def cache_folder() -> Path:
    """The folder of compiled catalogues in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "patron" / "catalogues"


def _compiled(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return None


def _write(file: Path, text: str) -> None:
    """Write a file whole: another process may be reading or writing it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(f".{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)
