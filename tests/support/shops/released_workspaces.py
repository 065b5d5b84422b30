"""A workspace as a release left it, in an archive of a fifth of its size.

    python tests/support/shops/released_workspaces.py FOLDER ARCHIVE

packs FOLDER/workspace and what lies next to it: the master key, the head of the audit log, and what the release's
`patron scores --out scores.csv` wrote. Make the workspace with the release itself, as small as it goes: some fifty
customers with half a year of orders, `patron init`, `import`, `run --as-of 2024-07-01`, `segment save`, `campaign
save`, `users invite`, `keys create`.

Encrypted pages cannot be compressed, so the archive holds the pages of the store in clear and what their encryption
drew (SQLCipher 4: a salt, an initialization vector a page). Unpacking encrypts them again to the bytes that the release
wrote, whatever today's code would write.
"""

import hashlib
import hmac
import io
import sys
import tarfile
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from patron.storage.store.embedded_store import store_key
from patron.storage.workspace.workspace_identity import read_identity

RELEASES = Path(__file__).parents[2] / "storage" / "releases"
WORKSPACE, KEY_FILE, SCORES = "workspace", "master.key", "scores.csv"
STORE = f"{WORKSPACE}/store.db"
PLAIN, DRAWN, DIGEST = "store.plain", "store.drawn", "store.sha256"
PAGE, SALT, VECTOR, SEAL = 4096, 16, 16, 64


def unpack(release: str, folder: Path) -> Path:
    """Put the workspace that a release made into a new folder; returns where it is. Its master key lies next to it."""
    with tarfile.open(RELEASES / f"{release}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    plain, drawn = (folder / PLAIN).read_bytes(), (folder / DRAWN).read_bytes()
    content = encrypted(plain, drawn, _key(folder))
    assert hashlib.sha256(content).hexdigest() == (folder / DIGEST).read_text(encoding="utf-8")
    (folder / STORE).write_bytes(content)
    (folder / STORE).chmod(0o600)
    for name in (PLAIN, DRAWN, DIGEST):
        (folder / name).unlink()
    return folder / WORKSPACE


def pack(folder: Path, target: Path) -> None:
    """Write the archive of a workspace that nobody has open."""
    content = (folder / STORE).read_bytes()
    plain, drawn = decrypted(content, _key(folder))
    assert encrypted(plain, drawn, _key(folder)) == content
    digest = hashlib.sha256(content).hexdigest().encode()
    with tarfile.open(target, "w:xz", preset=9) as archive:
        for path in sorted(folder.rglob("*"), key=lambda path: (path.suffix, path.name, str(path))):
            name = path.relative_to(folder).as_posix()
            if name != STORE:
                archive.add(path, name, recursive=False, filter=_anonymous)
        for name, data in ((PLAIN, plain), (DRAWN, drawn), (DIGEST, digest)):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def encrypted(plain: bytes, drawn: bytes, key: bytes) -> bytes:
    """Pages of a store as SQLCipher 4 writes them with a raw key."""
    salt, vectors = drawn[:SALT], drawn[SALT:]
    room = PAGE - VECTOR - SEAL
    seal_key = hashlib.pbkdf2_hmac("sha512", key, bytes(byte ^ 0x3A for byte in salt), 2, 32)
    pages = []
    for page in range(len(plain) // room):
        vector = vectors[page * VECTOR : (page + 1) * VECTOR]
        # why: the first page begins with the salt, in place of the header that every SQLite file has
        start = SALT if page == 0 else 0
        cipher = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
        sealed = cipher.update(plain[page * room + start : (page + 1) * room]) + vector
        number = (page + 1).to_bytes(4, "little")
        pages.append(salt[:start] + sealed + hmac.digest(seal_key, sealed + number, "sha512"))
    return b"".join(pages)


def decrypted(content: bytes, key: bytes) -> tuple[bytes, bytes]:
    """Pages in clear, and the salt followed by the initialization vector of each page."""
    plain, drawn = [], [content[:SALT]]
    for at in range(0, len(content), PAGE):
        start = SALT if at == 0 else 0
        end = at + PAGE - VECTOR - SEAL
        drawn.append(content[end : end + VECTOR])
        cipher = Cipher(algorithms.AES(key), modes.CBC(drawn[-1])).decryptor()
        plain.append(bytes(start) + cipher.update(content[at + start : end]))
    return b"".join(plain), b"".join(drawn)


def _key(folder: Path) -> bytes:
    """Key of the store of the workspace in a folder."""
    identity = read_identity(folder / WORKSPACE)
    assert identity is not None
    return store_key(bytes.fromhex((folder / KEY_FILE).read_text(encoding="utf-8")), identity.workspace_id)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The entry without whose file it is and from when."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
