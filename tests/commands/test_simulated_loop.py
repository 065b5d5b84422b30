import os

from patron.commands.simulated_loop import seeded_workspace
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
