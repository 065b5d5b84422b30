"""The hazards of a run are a kept model: listed, shown, verified, and never pinned."""

from contextlib import closing
from datetime import timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa
from leaving_shop import RUN, order_rows, order_times, table_of, write_shop
from tests.support.shops.workspace_copies import copy_workspace

from patron.answers.models.model_versions import model_detail, model_versions
from patron.answers.models.survival import survival
from patron.commands.models.manage_models import roll_back
from patron.commands.models.verify_model import verify_model
from patron.commands.privacy.forget import forget
from patron.govern.access.request_context import RequestContext
from patron.govern.vault import initial_customer_id
from patron.interfaces.cli.models.render_models import show_model
from patron.interfaces.i18n.formats import Formats
from patron.predict.refit import refit
from patron.predict.survival import build_survival_curves
from patron.schema.errors import LakeDamaged, NotFound, WorkspaceError
from patron.schema.tables import BY_NAME, EVENTS
from patron.storage.models.model_registry import manifest
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS

VERSION = f"survival/{RUN.run_id}"
FORGOTTEN = 3
"""The customer that a test forgets, who alone has an event."""
USER = "u_{:03d}"


def customer_id(number):
    return initial_customer_id(USER.format(number))


@pytest.fixture(scope="module")
def shop(tmp_path_factory, churn):
    """A shop with a completed run that made curves."""
    folder = tmp_path_factory.mktemp("hazards") / "w"
    build_survival_curves(write_shop(folder, order_times(), churn=churn, name_of=customer_id))
    shop = Shop.open(folder)
    event = {"source": "s", "event_id": "e1", "name": "Page Viewed", "user_token": USER.format(FORGOTTEN)}
    event |= {"month": f"{RUN.as_of:%Y-%m}"} | dict.fromkeys(("occurred_at", "received_at", "known_at"), RUN.as_of)
    shop.lake.append(EVENTS, pa.Table.from_pylist([event], schema=EVENTS.schema()))
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()}
    row = {"run_id": RUN.run_id, "as_of": RUN.as_of, "finished_at": RUN.as_of, "seconds": 1.0, "seed": RUN.seed}
    row |= {"policy_version": "1", "table_versions": versions, "summary": {}}
    with shop.store.begin() as connection:
        connection.execute(sa.insert(RUNS).values(row))
    yield shop
    shop.close()


def test_the_hazards_are_listed_with_their_backtest_next_to_the_life_table(shop):
    [model] = model_versions(shop)
    assert (model.model_version, model.is_in_use, model.is_pinned) == (VERSION, True, False)
    assert model.learner in {"hazard_trees", "hazard_logistic"}
    assert (model.metric, model.baseline) == ("log_loss", "life_table")
    assert model.low < model.value < min(model.high, model.baseline_value)


def test_every_curve_names_the_hazards_that_carry_it_on(shop):
    view = last_run(shop)
    assert set(view.read("survival_curves")["model_version"].to_pylist()) == {VERSION}
    assert survival(view).model_version == VERSION


def test_the_card_says_what_they_were_fitted_to_and_how_they_did(shop, capsys):
    detail = model_detail(shop, "survival")
    assert detail.card["learner"] == detail.manifest["learner"] == detail.model.learner
    assert "days_since_last_order" in detail.card["features"]
    assert int(detail.card["training_rows"]) == detail.manifest["row_count"] > 100
    assert detail.manifest["table_versions"] == {"orders": shop.lake.version(BY_NAME["orders"])}
    text = (shop.folder / "models" / VERSION / "card.md").read_text("utf-8")
    assert "| life_table | log_loss to 360 days |" in text
    show_model(detail, Formats("en", "USD", "UTC"), json=False)
    shown = capsys.readouterr().out
    assert f"{VERSION} (in use)" in shown
    assert "the best baseline, life_table" in shown


def test_another_fit_has_the_same_bytes_and_other_orders_are_refused(shop):
    assert verify_model(shop, "survival").is_same
    orders = BY_NAME["orders"]
    rows = order_rows(order_times()[:-1], customer_id)
    before = shop.lake.read(orders)
    shop.lake.replace(orders, table_of("orders", rows))
    try:
        assert verify_model(shop, "survival").is_same, "the lake keeps the version that it was fitted to"
    finally:
        shop.lake.replace(orders, before)


def test_hazards_of_a_shop_that_forgot_a_customer_name_nobody_and_cannot_be_verified(tmp_path, shop):
    copy_workspace(shop.folder, tmp_path / "w")
    gone = customer_id(FORGOTTEN)
    with closing(Shop.open(tmp_path / "w")) as copy:
        curves, orders = BY_NAME["survival_curves"], BY_NAME["orders"]
        everybody = set(copy.lake.read(curves)["customer_id"].to_pylist())
        assert gone in copy.lake.read(orders)["customer_id"].to_pylist()
        forget(RequestContext.from_name(copy, now=RUN.as_of + timedelta(days=1)), customer_id=gone)
        assert gone not in copy.lake.read(orders)["customer_id"].to_pylist()
        assert set(copy.lake.read(curves)["customer_id"].to_pylist()) == everybody - {gone}
        kept = [path for path in (copy.folder / "models").rglob("*") if path.is_file()]
        assert len(kept) > 1
        assert not any(gone.encode() in path.read_bytes() for path in kept)
        assert model_detail(copy, "survival").model.model_version == VERSION
        with pytest.raises(NotFound, match="no longer has version"):
            verify_model(copy, "survival")


def test_hazards_are_not_fitted_again_to_orders_of_which_some_are_gone(tmp_path, shop, churn):
    orders = [time for time in order_times() if time[0] != FORGOTTEN]
    other = write_shop(tmp_path / "w", orders, churn=churn)
    with pytest.raises(WorkspaceError, match="erased since"):
        refit(other, manifest(shop.folder / "models", shop.store, VERSION))


def test_hazards_cannot_be_pinned_and_damage_is_found(shop):
    with pytest.raises(NotFound, match="cannot be rolled back"):
        roll_back(shop, "survival", version=None, reason="a test", now=RUN.as_of + timedelta(days=1))
    [file] = (shop.folder / "models" / VERSION / "model").glob("*.json")
    content = file.read_bytes()
    file.write_bytes(b"{}")
    try:
        with pytest.raises(LakeDamaged):
            verify_model(shop, "survival")
    finally:
        file.write_bytes(content)
