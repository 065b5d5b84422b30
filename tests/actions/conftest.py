"""A new workspace with a key folder of its own."""

import pytest

from patron.base.shop import Shop


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    made = Shop.create(tmp_path / "shop")
    yield made
    made.close()
