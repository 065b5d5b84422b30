import os

from patron.commands.data.simulated_loop import seeded_workspace, settings_of_files_alone
from patron.govern.vault import Vault
from patron.storage.master_key import VARIABLE


def tokens_of(folder, seed):
    shop = seeded_workspace(folder, seed, {"currency": "USD"})
    with_key = Vault.open(shop).token("user_id", "C1")
    shop.close()
    return with_key


def test_a_seed_gives_the_same_ids_in_every_workspace(tmp_path):
    before = os.environ.get(VARIABLE)
    first, again, other = (tokens_of(tmp_path / str(place), seed) for place, seed in enumerate((1, 1, 2)))
    assert first == again
    assert first != other
    assert os.environ.get(VARIABLE) == before


def test_a_simulated_shop_takes_neither_key_nor_store_of_the_server_that_plays_it(tmp_path, monkeypatch):
    servers = {VARIABLE: "ab" * 32, "PATRON_STORE_URL": "postgresql+psycopg://nobody@127.0.0.1:1/none"}
    for name, value in servers.items():
        monkeypatch.setenv(name, value)
    with settings_of_files_alone():
        assert tokens_of(tmp_path / "a", 1) == tokens_of(tmp_path / "b", 1)
    assert {name: os.environ[name] for name in servers} == servers
