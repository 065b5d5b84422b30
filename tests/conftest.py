"""What every test may use: a new workspace, the made shop, PostgreSQL, published data; and how tests are handed out."""

import gc
import importlib
import os
import shutil
import uuid
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from made_shop import fill
from sqlalchemy.engine import make_url
from workspace_copies import copy_workspace

from made_once import made_once
from patron.govern.access import passwords
from patron.storage.models.season_tables import SEASON_CALENDARS
from patron.storage.shop import SETTINGS_FILE, Shop
from processor_time import ProcessorTime, add_options, slow_files

POSTGRES = "PATRON_TEST_POSTGRES"
REAL_DATA = "PATRON_TEST_DATA"
EXTRAS = "PATRON_TEST_EXTRAS"


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    if config.option.processor_time or config.option.record_processor_time:
        config.pluginmanager.register(ProcessorTime(config))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With --fast, do not even import what takes long."""
    return True if config.option.fast and collection_path in slow_files() else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage only among what tests make: a million objects of libraries and of thousands of tests stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left with it at the end."""
    items.sort(key=lambda item: not (item.get_closest_marker("xdist_group") or item.get_closest_marker("slow")))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Keep the tests of a group, or else of a file, in one worker."""
    from file_scheduling import FileScheduling  # noqa: PLC0415 - needs pytest-xdist

    return FileScheduling(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(scope="session", autouse=True)
def _own_configuration_folder(tmp_path_factory):
    """No test writes a key into the configuration of the person who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.delenv("PATRON_MASTER_KEY", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def product_hashers() -> Iterator[tuple[PasswordHasher, PasswordHasher]]:
    """What hashes passwords and recovery codes in the product; tests hash a thousand times faster."""
    with pytest.MonkeyPatch.context() as patch:
        product = (passwords.HASHER, passwords.CODE_HASHER)
        for name in ("HASHER", "CODE_HASHER"):
            patch.setattr(passwords, name, PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        yield product


@pytest.fixture(scope="session")
def made_shop(tmp_path_factory: pytest.TempPathFactory):
    """The made shop, for all tests of a worker; who changes what others read works in a copy."""
    made = made_once(tmp_path_factory, "made_shop", make_shop)
    shop = Shop.open(copy_workspace(made / "shop", tmp_path_factory.mktemp("made") / "shop"))
    yield shop
    shop.close()


@pytest.fixture
def shop_without_season(made_shop: Shop) -> Iterator[Shop]:
    """The made shop, in which nobody has entered a season when the next test begins."""
    yield made_shop
    with made_shop.store.begin() as connection:
        connection.execute(sa.delete(SEASON_CALENDARS))


def make_shop(folder: Path) -> None:
    """Fill a shop whose settings name its key, whatever configuration folder a test sets while it asks this shop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATRON_MASTER_KEY_FILE", str(folder / "master.key"))
        Shop.create(folder / "shop").close()
    settings = folder / "shop" / SETTINGS_FILE
    settings.write_text(f"master_key_file = '{folder / 'master.key'}'\n{settings.read_text('utf-8')}", "utf-8")
    fill(Shop.open(folder / "shop")).close()


@pytest.fixture(scope="session")
def new_home(tmp_path_factory) -> Path:
    """A folder with a new workspace `w` and the folder `config` of its key, to copy: that is faster than a new one."""
    return made_once(tmp_path_factory, "new_home", make_new_home)


def make_new_home(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.delenv("PATRON_MASTER_KEY", raising=False)
        Shop.create(folder / "w").close()


@pytest.fixture
def new_workspace(new_home, tmp_path, monkeypatch) -> Path:
    """The folder of a new workspace with a key folder of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PATRON_MASTER_KEY", raising=False)
    shutil.copytree(new_home, tmp_path, dirs_exist_ok=True)
    return tmp_path / "w"


@pytest.fixture
def shop(new_workspace):
    """A new workspace, opened."""
    shop = Shop.open(new_workspace)
    yield shop
    shop.close()


@pytest.fixture
def received_at():
    return datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def postgres_url():
    """URL of an empty schema in the database that PATRON_TEST_POSTGRES names; it is dropped afterwards."""
    named = os.environ.get(POSTGRES)
    if not named:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{POSTGRES} names no database")
    schema = f"patron_{uuid.uuid4().hex}"
    engine = sa.create_engine(named)
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(schema))
    schema_url = make_url(named).update_query_dict({"options": f"-csearch_path={schema}"})
    yield schema_url.render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(sa.schema.DropSchema(schema, cascade=True))
    engine.dispose()


@pytest.fixture(scope="session")
def real_data():
    """Path of a published data set in the folder that PATRON_TEST_DATA names; without the file the test skips."""

    def path_of(name: str) -> Path:
        folder = os.environ.get(REAL_DATA)
        if not folder or not (Path(folder) / name).exists():
            pytest.skip(f"{REAL_DATA} names no folder with {name}")
        return Path(folder) / name

    return path_of


@pytest.fixture(scope="session")
def import_extra():
    """Import a module of an optional extra; without it the test skips, and fails under `make test-extras`."""

    def module_of(name: str, extra: str):
        if os.environ.get(EXTRAS):
            return importlib.import_module(name)
        return pytest.importorskip(name, reason=f"extra {extra!r} is not installed: make test-extras")

    return module_of
