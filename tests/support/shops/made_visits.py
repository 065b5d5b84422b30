"""Visits whose rule is known, and a model of them kept as that of a run."""

from datetime import datetime

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from patron.clickstream import ORDER, LogisticOrder, Session, SessionEvent, VisitorHistory, training_rows
from patron.schema.models.questions import SESSION_CONVERSION
from patron.schema.tables import BACKTESTS, FEATURES, TABLES
from patron.storage.models import model_registry
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS


def clicks(count, seed=3):
    """Visits in which carts lead to orders, more often of known people and less after a long pause."""
    rng, sessions = np.random.default_rng(seed), []
    for number in range(count):
        at, events, has_cart, is_known = 1_000.0 * number, [], False, bool(rng.random() < 0.5)
        while rng.random() < 0.8 or not events:
            at += float(rng.exponential(60))
            kind = str(rng.choice(["view", "view", "cart_add", "page"]))
            has_cart |= kind == "cart_add"
            events.append(SessionEvent(at, kind, f"p{rng.integers(4)}"))
        if has_cart and rng.random() < (0.7 if is_known else 0.3):
            events.append(SessionEvent(at + 5, ORDER))
        history = VisitorHistory(is_known, int(is_known), at - 1e6 if is_known else None)
        sessions.append(Session(f"c{number % 400}", events, history, float(rng.random())))
    return sessions


def finish_run_with_model(shop: Shop, as_of: datetime, learner=None):
    """Write a completed run that has a model of visits; returns the fitted model."""
    run = Run.at(as_of)
    learner = learner or LogisticOrder()
    fitted = learner.fit(training_rows(clicks(800)))
    manifest = model_registry.Manifest(
        question=SESSION_CONVERSION.name,
        version=run.run_id,
        learner=learner.name,
        settings={},
        as_of=as_of.isoformat(),
        seed=1,
        feature_version="1",
        table_versions={},
        row_count=1,
        data_hash="",
    )
    model_registry.save(shop.folder / "models", shop.store, fitted, model_registry.ModelRecord(manifest, {}, {}, ""))
    row = {name: run.run_id if name == "run_id" else "x" for name in ("run_id", "origin", "learner", "champion")}
    row |= {"question": SESSION_CONVERSION.name, "metric": "log_loss", "baseline": "x", "customer_count": 1}
    shop.lake.replace(BACKTESTS, pa.Table.from_pylist([row], schema=BACKTESTS.schema()), part=run.run_id)
    features = {"run_id": run.run_id, "customer_id": "c", "as_of": as_of, "feature_version": "1"}
    features |= {"order_day_count_lifetime": 3, "days_from_first_to_last_order": 60}
    shop.lake.replace(FEATURES, pa.Table.from_pylist([features]))
    versions = {table.name: shop.lake.version(table) for table in TABLES}
    row = {"run_id": run.run_id, "as_of": as_of, "finished_at": as_of, "seconds": 1.0, "seed": 1}
    with shop.store.begin() as connection:
        values = row | {"policy_version": "1", "table_versions": versions, "summary": {}}
        connection.execute(sa.insert(RUNS).values(values))
    return fitted
