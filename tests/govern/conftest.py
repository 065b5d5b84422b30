from datetime import UTC, datetime

import pytest

from patron.base.shop import Shop


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PATRON_MASTER_KEY", raising=False)
    shop = Shop.create(tmp_path / "w")
    yield shop
    shop.close()


@pytest.fixture
def told_at():
    return datetime(2024, 6, 1, tzinfo=UTC)
