"""Files are replaced whole or not at all."""

import pytest

from patron.storage.durable_files import private_file


def test_a_private_file_replaces_the_old_one_only_when_it_is_whole(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), private_file(path) as out:
        out.writelines([b"half", None])
    assert (path.read_bytes(), [one.name for one in tmp_path.iterdir()]) == (b"old", ["scores.csv"])
    with private_file(path) as out:
        out.write(b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o600)
