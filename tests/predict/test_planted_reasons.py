"""Where a cause of leaving is planted and the forecast sees it, the cause is the first reason.

All causes, and those that the forecast does not see: benchmarks/predict/planted_reasons.py.
"""

from dataclasses import replace

import pyarrow as pa
import pytest

from patron import predict, understand
from patron.commands.data.simulated_loop import ingest_events
from patron.estimators.learner import FORECAST
from patron.govern.vault import Vault
from patron.predict import scoring
from patron.predict.churn.churn_reasons import reason_rows
from patron.predict.explanation import explain
from patron.predict.probability_learners import BoostedProbability
from patron.run import build_run_cutoffs, stage_view
from patron.schema.models.questions import CHURN
from patron.schema.models.reason_codes import REASON_CODES
from patron.simulate.ground_truth import truth
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.understand.facts import build_facts
from patron.understand.features import build_features

PLANTED = replace(
    DEFAULT_SHOP, customers=900, leaving_cause_shares=(0.25, 0.25, 0.0), until_cause_days=80.0, lifetime_days=2000.0
)
DAYS = 250
CODE = {"bad_delivery": "returns", "bad_review": "bad_review"}


@pytest.fixture(scope="module")
def first_reasons(tmp_path_factory):
    """Cause and first reason of customers whom a cause drove away in the last three weeks and who have a reason."""
    world = ShopSimulator(PLANTED, seed=3)
    shop = Shop.create(tmp_path_factory.mktemp("planted") / "w")
    ingest_events(shop, world.history(DAYS), received_at=world.now)
    run = Run.at(world.now)
    view = stage_view(shop, understand, run=run)
    for build in (build_facts, build_run_cutoffs, build_features):
        build(view)
    first = first_reason_of(stage_view(shop, predict, run=run))
    left = {
        row["user_id"]: row["leaving_cause"]
        for row in truth(world, 1).to_pylist()
        if row["leaving_cause"] and 0 <= (world.now.date() - row["dropped_out_on"]).days <= 21
    }
    rows = view.query("select token, customer_id from identities where is_user")
    users = zip(Vault.open(shop).reveal(rows["token"].to_pylist()), rows["customer_id"].to_pylist(), strict=True)
    return [(left[user], first[customer]) for user, customer in users if user in left and customer in first]


def first_reason_of(view):
    features = scoring.read_features(view, "features")
    fitted = BoostedProbability().fit(scoring.with_labels(view, CHURN, features.known))
    scores = pa.table({"value": fitted.predict(features.current)[FORECAST]})
    reasons = reason_rows(view, CHURN, features.current, scores, explain(fitted, features.current, REASON_CODES))
    return {row["customer_id"]: row["code"] for row in reasons.to_pylist() if row["rank"] == 1}


def test_the_planted_cause_comes_first_where_customers_have_a_reason(first_reasons):
    assert len(first_reasons) >= 15
    assert sum(CODE[cause] == code for cause, code in first_reasons) >= 0.8 * len(first_reasons), first_reasons
