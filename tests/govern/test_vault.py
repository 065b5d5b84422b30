import stat

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from patron.govern.master_key import derive_keys
from patron.govern.vault import Vault
from patron.schema.errors import MasterKeyError
from patron.storage.shop import Shop
from patron.storage.store.store import VAULT_TOKENS


def test_stored_identifiers_can_be_revealed_and_found(shop, received_at):
    vault = Vault.open(shop)
    tokens = vault.store_tokens("user_id", pa.array(["ann", None, "bob", "ann"]), received_at).to_pylist()
    assert tokens[0] == tokens[3] != tokens[2]
    assert tokens[1] is None
    assert vault.reveal([tokens[0], tokens[2], "u_unknown"]) == ["ann", "bob", None]
    assert Vault.open(shop).find("user_id", "bob") == tokens[2]
    assert vault.find("user_id", "eve") is None


def test_shredding_a_key_forgets_value_and_texts(shop, received_at):
    vault = Vault.open(shop)
    ann, bob = vault.store_tokens("user_id", pa.array(["ann", "bob"]), received_at).to_pylist()
    vault.store_texts("s", [("e1", "texts", ann, "secret"), ("e2", "texts", bob, "other")])
    assert [row["text"] for row in vault.texts([ann, bob])] == ["secret", "other"]
    assert vault.shred([ann]) == 1
    assert vault.reveal([ann]) == [None]
    assert [row["text"] for row in vault.texts([ann, bob])] == ["other"]


def test_keeping_twice_changes_nothing(shop, received_at):
    for _ in range(2):
        vault = Vault.open(shop)
        [token] = vault.store_tokens("user_id", pa.array(["ann"]), received_at).to_pylist()
        vault.store_texts("s", [("e1", "texts", token, "secret")])
    assert [row["text"] for row in vault.texts([token])] == ["secret"]


def test_an_email_is_the_same_however_it_is_written(shop):
    vault = Vault.open(shop)
    assert vault.token("email", " Ann@X.org ") == vault.token("email", "ann@x.org")
    assert vault.token("email", "ann@x.org") != vault.token("user_id", "ann@x.org")


def test_the_key_file_is_private_and_outside_the_workspace(shop):
    Vault.open(shop)
    path = shop.master_key_place.file
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.is_relative_to(shop.folder)


def test_a_missing_or_foreign_key_is_refused(shop, monkeypatch):
    Vault.open(shop)
    path = shop.master_key_place.file
    key = path.read_text()
    path.unlink()
    with pytest.raises(MasterKeyError, match="missing"):
        Vault.open(shop)
    monkeypatch.setenv("PATRON_MASTER_KEY", "00" * 32)
    with pytest.raises(MasterKeyError, match="another workspace"):
        Vault.open(shop)
    monkeypatch.setenv("PATRON_MASTER_KEY", "short")
    with pytest.raises(MasterKeyError, match="hexadecimal"):
        Vault.open(shop)
    monkeypatch.setenv("PATRON_MASTER_KEY", key)
    assert Vault.open(shop).row_key


def test_a_key_inside_the_workspace_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATRON_MASTER_KEY_FILE", str(tmp_path / "w" / "master.key"))
    with pytest.raises(MasterKeyError, match="inside the workspace"):
        Shop.create(tmp_path / "w")


def test_a_damaged_or_swapped_row_is_never_revealed_as_another(shop, received_at):
    vault = Vault.open(shop)
    ann, bob = vault.store_tokens("user_id", pa.array(["ann", "bob"]), received_at).to_pylist()
    with shop.store.begin() as connection:
        of_bob = connection.scalar(sa.select(VAULT_TOKENS.c.ciphertext).where(VAULT_TOKENS.c.token == bob))
        connection.execute(sa.update(VAULT_TOKENS).where(VAULT_TOKENS.c.token == ann).values(ciphertext=of_bob))
    with pytest.raises(MasterKeyError, match="cannot be decrypted"):
        vault.reveal([ann])


@given(st.binary(min_size=32, max_size=32))
def test_derived_keys_differ_by_purpose(master):
    keys = derive_keys(master)
    assert len({keys.wrapping, keys.index, keys.rows, keys.letters, master}) == 5
