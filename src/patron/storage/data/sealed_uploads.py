"""Files that people upload, sealed under a key of the workspace until they are imported, or for a day.

A file lies in blocks, each encrypted (AES-256-GCM) with its position, so that none can be left out, moved or put into
another file; the first holds the file's name. It is in clear only while somebody reads it, in a folder that its reader
locks; one whose reader is gone is deleted.
"""

import fcntl
import os
import re
import secrets
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from patron.schema.common_sentences import CHOOSE_FILE
from patron.schema.errors import BadFile, NotFound
from patron.schema.sentences import Sentence
from patron.storage.durable_files import disk_errors, make_private_folder, private_file
from patron.storage.master_key import derive_key
from patron.storage.shop import Shop
from patron.storage.workspace.workspace_files import SCRATCH_FOLDER

UPLOAD_TWICE = Sentence("upload_twice", "Upload it again: nothing is stored twice.")
NO_FILE_OR_EMPTY = Sentence("no_file_or_empty", "no file was chosen, or it is empty")
NO_UPLOAD = Sentence("no_upload", "no such upload")
UPLOAD_DELETED = Sentence(
    "upload_deleted",
    "the uploaded file is gone: uploads are deleted after their import, after a day, and when somebody is forgotten",
)
UPLOAD_DAMAGED = Sentence("upload_damaged", "the uploaded file was damaged or changed")
FILE_LARGE = Sentence("file_large", "the file is larger than {size} MB")
UPLOAD_AGAIN = Sentence("upload_again", "Upload the file again.")
USE_IMPORT = Sentence("use_import", "Use `patron import` for it.")

UPLOADS_FOLDER, SEALED_FILE, CLEAR_PREFIX = "uploads", "sealed", "clear-"
UPLOAD_ID = re.compile("[0-9a-f]{16}")
MAX_BYTES = 256 << 20
KEPT_FOR = timedelta(days=1)
ORPHANED_AFTER = timedelta(minutes=1)
"""How old a folder in clear that nobody locks must be: a fresh one may be locked next."""
BLOCK_BYTES = 1 << 20
NONCE_BYTES = 12
LENGTH = struct.Struct(">I")


def uploads_folder(shop: Shop) -> Path:
    """Where uploads of a shop lie; it is there afterwards."""
    folder = shop.folder / SCRATCH_FOLDER / UPLOADS_FOLDER
    make_private_folder(folder)
    return folder


def upload_folder(shop: Shop, upload_id: str) -> Path:
    """Folder of one upload. Raises NotFound for what is no id."""
    if not UPLOAD_ID.fullmatch(upload_id):
        raise NotFound(NO_UPLOAD, where=upload_id, todo=UPLOAD_AGAIN)
    return shop.folder / SCRATCH_FOLDER / UPLOADS_FOLDER / upload_id


def seal_upload(shop: Shop, name: str, content: BinaryIO) -> str:
    """Keep a file and return its id. Raises BadFile for one that is empty or too large, NoSpace."""
    upload_id = secrets.token_hex(8)
    folder = uploads_folder(shop) / upload_id
    make_private_folder(folder)
    try:
        with private_file(folder / SEALED_FILE) as out:
            blocks = chain([_safe_name(name).encode()], _bounded_blocks(content, _safe_name(name)))
            for block in _sealed_blocks(AESGCM(_key(shop)), upload_id, blocks):
                out.write(block)
    except BaseException:
        delete_upload(shop, upload_id)
        raise
    return upload_id


@contextmanager
def clear_upload(shop: Shop, upload_id: str) -> Iterator[Path]:
    """A file in clear under its own name, in a private folder that is deleted afterwards.

    Raises NotFound where it was deleted, BadFile where it was changed, NoSpace.
    """
    with _refused_where_deleted(shop, upload_id), _opened(shop, upload_id) as path:
        yield path


@contextmanager
def _refused_where_deleted(shop: Shop, upload_id: str) -> Iterator[None]:
    """Raise NotFound where somebody deletes the upload meanwhile."""
    folder = upload_folder(shop, upload_id)
    try:
        yield
    except FileNotFoundError as error:
        if (folder / SEALED_FILE).exists():
            raise
        with suppress(OSError):
            folder.rmdir()  # why: whoever began to read it has made it anew
        raise NotFound(UPLOAD_DELETED, where=upload_id, todo=UPLOAD_TWICE) from error


@contextmanager
def _opened(shop: Shop, upload_id: str) -> Iterator[Path]:
    sealed = _sealed_file(shop, upload_id)
    folder = sealed.parent / f"{CLEAR_PREFIX}{secrets.token_hex(8)}"
    make_private_folder(folder)
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with sealed.open("rb") as file, disk_errors(folder):
            blocks = _opened_blocks(AESGCM(_key(shop)), upload_id, file)
            path = folder / next(blocks).decode()
            with path.open("xb") as out:
                for block in blocks:
                    out.write(block)
        yield path
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def delete_upload(shop: Shop, upload_id: str) -> None:
    """Delete an uploaded file, and what was made from it."""
    _delete(upload_folder(shop, upload_id))


def delete_old_uploads(shop: Shop, *, now: datetime) -> None:
    """Delete files that nobody imported within a day, and copies in clear whose readers are gone."""
    for folder in (shop.folder / SCRATCH_FOLDER / UPLOADS_FOLDER).glob("*"):
        for clear in folder.glob(f"{CLEAR_PREFIX}*"):
            if _age(clear, now) > ORPHANED_AFTER and _has_no_reader(clear):
                shutil.rmtree(clear, ignore_errors=True)
        sealed = folder / SEALED_FILE
        if _age(sealed if sealed.exists() else folder, now) > KEPT_FOR:
            _delete(folder)


def _delete(folder: Path) -> None:
    with suppress(OSError):
        (folder / SEALED_FILE).unlink()  # why: first, so that who misses anything else knows why
    shutil.rmtree(folder, ignore_errors=True)


def _age(path: Path, now: datetime) -> timedelta:
    with suppress(OSError):
        return timedelta(seconds=now.timestamp() - path.stat().st_mtime)
    return timedelta()


def _has_no_reader(folder: Path) -> bool:
    with suppress(OSError):
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(lock)
        return True
    return False


def _sealed_file(shop: Shop, upload_id: str) -> Path:
    path = upload_folder(shop, upload_id) / SEALED_FILE
    if not path.is_file():
        raise NotFound(UPLOAD_DELETED, where=upload_id, todo=UPLOAD_TWICE)
    return path


def _safe_name(name: str) -> str:
    """The file's name without folders and without signs that mean something to a path or a pattern."""
    bare = name.replace("\\", "/").rpartition("/")[2]
    clean = re.sub(r"[^\w.\- ]+", "_", bare).strip(" .")[-120:].strip(" .")
    while len(clean.encode()) > 200:  # why: file systems bound bytes, and endings matter more than beginnings
        clean = clean[1:]
    return clean or "upload.csv"


def _bounded_blocks(content: BinaryIO, name: str) -> Iterator[bytes]:
    """Blocks of a file. Raises BadFile for one that is empty or too large."""
    size = 0
    while block := content.read(BLOCK_BYTES):
        size += len(block)
        if size > MAX_BYTES:
            raise BadFile(FILE_LARGE(size=MAX_BYTES >> 20), where=name, todo=USE_IMPORT)
        yield block
    if not size:
        raise BadFile(NO_FILE_OR_EMPTY, where=name, todo=CHOOSE_FILE)


def _sealed_blocks(cipher: AESGCM, upload_id: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Blocks with their lengths, encrypted; an empty one is the last."""
    for position, block in enumerate(chain(blocks, [b""])):
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + cipher.encrypt(nonce, block, f"{upload_id} {position}".encode())
        yield LENGTH.pack(len(sealed)) + sealed


def _opened_blocks(cipher: AESGCM, upload_id: str, file: BinaryIO) -> Iterator[bytes]:
    """Blocks in clear. Raises BadFile where one was changed, moved or left out."""
    position = 0
    try:
        while True:
            sealed = file.read(LENGTH.unpack(file.read(LENGTH.size))[0])
            block = cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], f"{upload_id} {position}".encode())
            if not block:
                return
            yield block
            position += 1
    except (InvalidTag, struct.error, ValueError) as error:
        raise BadFile(UPLOAD_DAMAGED, where=upload_id, todo=UPLOAD_AGAIN) from error


def _key(shop: Shop) -> bytes:
    return derive_key(shop.master_key_place.read(), "uploads")
