"""Which contracts are renewed: truth from planted behaviour, what counts as a renewal, no leak, no claim unproven."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import md5

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from patron import predict, understand
from patron.estimators.learner import FORECAST, LABEL
from patron.predict.backtest import backtest, cutoffs_for
from patron.predict.contract_churn import AVERAGED, LEARNERS
from patron.predict.contract_churn.after_cancellation import AfterCancellation
from patron.predict.contract_churn.contract_baselines import RateByCancellation
from patron.predict.contract_churn.contract_forecasts import build_contract_forecasts
from patron.predict.contract_churn.contract_rows import contract_rows, learning_rows
from patron.predict.origins import at as at_cutoff
from patron.predict.origins import cutoff_origins
from patron.schema.models.questions import CONTRACT_CHURN
from patron.schema.numbers import float_column
from patron.schema.tables import EVENTS
from patron.storage.models import model_registry
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop
from patron.understand.cutoffs import build_cutoffs
from patron.understand.facts import build_facts
from patron.understand.features import build_features

pytestmark = pytest.mark.xdist_group("contract_churn")
AS_OF = datetime(2024, 1, 1, tzinfo=UTC)
DAYS, CUSTOMERS, TERM = 360, 150, 30
SILENT, BUSY = 0.85, 0.06
"""Planted: how many do not renew who ordered nothing in the 60 days before the end, and who did."""


def at(day):
    return AS_OF - timedelta(days=DAYS - day)


def event(who, name, day, *, known=None, **properties):
    known_at = at(day if known is None else known)
    row = {"source": "s", "user_token": who, "name": name, "occurred_at": at(day), "received_at": known_at}
    row |= {"known_at": known_at, "month": f"{at(day):%Y-%m}", "revenue_cents": properties.pop("revenue", None)}
    return row | {"price_cents": properties.pop("price", None), "properties": json.dumps(properties)}


def started(who, day, ends, contract="coffee", **more):
    return event(who, "Contract Started", day, contract_id=contract, ends_at=at(ends).isoformat(), price=1_500, **more)


def cancelled(who, day, contract="coffee", **more):
    return event(who, "Contract Cancelled", day, contract_id=contract, **more)


def order(who, day, **more):
    return event(who, "Order Completed", day, revenue=2_000, **more)


def planted(seed=5):
    """Monthly contracts since some day each; who was silent for 60 days before an end rarely renews, a few say so."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(CUSTOMERS):
        who, since = f"u{number:03d}", rng.uniform(0, DAYS - 60)
        orders = since + np.cumsum([0.0, *rng.exponential(18, 40)])
        orders = orders[orders < since + 20 + rng.exponential(200)]
        rows += [order(who, day) for day in orders if day < DAYS]
        end = since
        while end < DAYS:
            rows.append(started(who, end, end + TERM))
            end += TERM
            is_silent = not ((orders >= end - 60) & (orders < end)).any()
            if rng.random() < (SILENT if is_silent else BUSY):
                known = end - rng.choice([20, 2])
                rows += [cancelled(who, end - 20, known=known)] if rng.random() < 0.3 and known < DAYS else []
                break
    return rows


def shop_with(folder, rows, as_of=AS_OF, cutoffs=None):
    """A shop of these events: facts, and features at a run's cutoffs or at those named."""
    shop, run = Shop.create(folder), Run.at(as_of)
    numbered = [row | {"event_id": f"e{number}"} for number, row in enumerate(rows)]
    shop.lake.append(EVENTS, pa.Table.from_pylist(numbered, schema=EVENTS.schema()))
    view = shop.view(understand.READS, understand.WRITES, run=run)
    build_facts(view)
    build_cutoffs(view, cutoffs or cutoffs_for(as_of, min(row["known_at"] for row in rows)))
    build_features(view)
    return shop.view(predict.READS, predict.WRITES, run=run)


@pytest.fixture(scope="module")
def rows():
    return planted()


@pytest.fixture(scope="module")
def view(tmp_path_factory, rows):
    return shop_with(tmp_path_factory.mktemp("contracts") / "w", rows)


@pytest.fixture(scope="module")
def table(view):
    return contract_rows(view)


@pytest.fixture(scope="module")
def built(view):
    return build_contract_forecasts(view), view.read("contract_forecasts")


def test_who_is_silent_is_likely_not_to_renew_and_who_cancelled_surely(built, table):
    here, forecasts = (one.sort_by("customer_id") for one in (at_cutoff(table, AS_OF), built[1]))
    assert built[0].unanswered == ()
    assert forecasts["customer_id"].to_pylist() == here["customer_id"].to_pylist()
    chance = float_column(forecasts, "probability")
    is_cancelled = np.array(forecasts["is_cancelled"].to_pylist())
    until_end = float_column(here, "days_since_last_order") + float_column(here, "days_until_end")
    is_silent = (until_end > 60) & ~is_cancelled
    assert is_silent.sum() >= 5
    assert is_cancelled.sum() >= 1
    assert chance[is_cancelled].min() > 0.8
    assert np.mean(chance[is_silent]) > 0.45  # why not 0.85: of 95 that were lost, few are as clear
    assert np.mean(chance[(until_end < 40) & ~is_cancelled]) == pytest.approx(BUSY, abs=0.05)


def test_the_champion_is_better_than_every_rule_and_is_kept(view, built):
    evaluated = [row for row in built[0].backtests.to_pylist() if row["origin"] == "all"]
    assert {row["learner"] for row in evaluated} == {one.name for one in LEARNERS}
    assert {row["metric"] for row in evaluated} == {one.name for one in CONTRACT_CHURN.all_metrics}
    champion = evaluated[0]["champion"]
    primary = next(row for row in evaluated if (row["learner"], row["metric"]) == (champion, "log_loss"))
    assert champion == CONTRACT_CHURN.default
    assert primary["gain_low"] > 0
    assert next(row["low"] for row in evaluated if (row["learner"], row["metric"]) == (champion, "auc")) > 0.75
    card = model_registry.card(view.models_folder, view.declared_store, f"contract_churn/{view.run.run_id}")
    assert card["learner"] == champion


def test_where_nothing_tells_who_renews_a_model_is_used_that_is_hardly_further_off_than_the_rules(table):
    known, rng = learning_rows(table), np.random.default_rng(2)
    by_chance = pa.array(rng.permutation(known[LABEL].to_numpy()))
    shuffled = known.set_column(known.column_names.index(LABEL), LABEL, by_chance)
    result = backtest(CONTRACT_CHURN, LEARNERS, cutoff_origins(CONTRACT_CHURN, shuffled, AS_OF), rng=rng)
    assert len(result.origins) == 3
    assert result.champion not in CONTRACT_CHURN.baselines
    assert result.primary_metric[result.champion] < result.primary_metric[result.baseline] + 0.03
    assert {one.name for one in LEARNERS if one.is_baseline} == set(CONTRACT_CHURN.baselines)


def test_an_origin_learns_from_contracts_whose_grace_was_over_and_judges_each_end_once(table):
    known = learning_rows(table)
    for origin in cutoff_origins(CONTRACT_CHURN, known, AS_OF):
        learned = origin.known().filter(pc.is_valid(origin.known()[LABEL]))
        assert pc.max(learned["ends_at"]).as_py() + timedelta(days=14) <= origin.cutoff
        assert pc.min(origin.test_rows["ends_at"]).as_py() >= origin.cutoff
        assert pc.max(origin.test_rows["ends_at"]).as_py() < origin.cutoff + timedelta(days=30)
    ends = list(zip(table["customer_id"].to_pylist(), table["ends_at"].to_pylist(), strict=True))
    assert len(ends) == len(set(ends))
    waiting = table.filter(pc.is_null(table[LABEL]))
    assert pc.min(waiting["ends_at"]).as_py() + timedelta(days=14) > AS_OF


def test_learners_save_what_they_forecast_and_forecast_a_row_alone_as_among_many(table, tmp_path):
    origin = cutoff_origins(CONTRACT_CHURN, learning_rows(table), AS_OF)[0]
    for learner in LEARNERS:
        fitted = learner.fit(origin.known())
        many = float_column(fitted.predict(origin.test_rows), FORECAST)
        assert 0 < many.min() <= many.max() < 1
        alone = [
            float_column(fitted.predict(origin.test_rows.slice(n, 1)), FORECAST)[0] for n in range(0, len(many), 9)
        ]
        assert np.array_equal(many[::9], alone)
        (tmp_path / learner.name).mkdir()
        fitted.save(tmp_path / learner.name)
        assert (
            learner.fitted.load(tmp_path / learner.name)
            .predict(origin.test_rows)
            .equals(fitted.predict(origin.test_rows))
        )


def test_a_cancelled_contract_is_forecast_by_the_rule_and_any_other_as_if_none_had_been_cancelled(table):
    origin = cutoff_origins(CONTRACT_CHURN, learning_rows(table), AS_OF)[0]
    known, others = (rows.filter(pc.equal(rows["is_cancelled"], 0)) for rows in (origin.known(), origin.test_rows))
    fitted = AfterCancellation(AVERAGED).fit(origin.known())
    assert fitted.predict(others).equals(AVERAGED.fit(known).predict(others))
    cancelled = table.filter(pc.equal(table["is_cancelled"], 1))
    assert cancelled.num_rows > 0
    assert fitted.predict(cancelled).equals(RateByCancellation().fit(origin.known()).predict(cancelled))


def test_where_only_cancelled_contracts_are_lost_every_contract_is_forecast_by_the_rule(table, tmp_path):
    known = learning_rows(table)
    is_lost = pc.if_else(pc.equal(known["is_cancelled"], 1), known[LABEL], 0.0)
    known = known.set_column(known.column_names.index(LABEL), LABEL, is_lost)
    origins = cutoff_origins(CONTRACT_CHURN, known, AS_OF)
    fitted = AfterCancellation(AVERAGED).fit(known)
    forecast = fitted.predict(origins[0].test_rows)
    assert forecast.equals(RateByCancellation().fit(known).predict(origins[0].test_rows))
    fitted.save(tmp_path)
    assert AfterCancellation.fitted.load(tmp_path).predict(origins[0].test_rows).equals(forecast)
    rng = np.random.default_rng(2)
    result = backtest(CONTRACT_CHURN, LEARNERS, origins, rng=rng)
    assert len(result.origins) == 3
    assert result.primary_metric[result.champion] <= result.primary_metric[RateByCancellation.name]


def test_what_counts_as_a_renewal_and_what_is_known_of_a_contract(tmp_path):
    """All contracts end on day 270; the cutoff is day 240, of a run on day 360."""
    cases = {
        "a-lost": [],
        "b-in-grace": [started("b-in-grace", 283, 300)],
        "c-too-late": [started("c-too-late", 285, 300)],
        "d-known-late": [started("d-known-late", 271, 300, known=285)],
        "e-another-contract": [started("e-another-contract", 271, 300, contract="tea")],
        "f-same-end": [started("f-same-end", 265, 269.9)],
        "g-cancelled": [cancelled("g-cancelled", 230)],
        "h-known-later": [cancelled("h-known-later", 230, known=241)],
        "i-changed-mind": [cancelled("i-changed-mind", 230), started("i-changed-mind", 270, 300)],
        "j-renewed-early": [started("j-renewed-early", 235, 300)],
        "k-third-term": [started("k-third-term", day, day + 30) for day in (150, 180)],
    }
    rows = [row for who, more in cases.items() for row in (order(who, 10), started(who, 210, 269.9), *more)]
    cutoff = AS_OF - timedelta(days=120)
    table = contract_rows(shop_with(tmp_path / "w", rows, cutoffs=[AS_OF, cutoff]))
    here = {row["customer_id"]: row for row in at_cutoff(table, cutoff).to_pylist()}
    by_name = {
        who: tuple(here[customer][name] for name in ("contract_id", "term_count", "is_cancelled", LABEL))
        for who in cases
        if (customer := md5(who.encode(), usedforsecurity=False).hexdigest()) in here
    }
    assert by_name == {
        "a-lost": ("coffee", 1, 0, 1.0),
        "b-in-grace": ("coffee", 1, 0, 0.0),
        "c-too-late": ("coffee", 1, 0, 1.0),
        "d-known-late": ("coffee", 1, 0, 1.0),
        "e-another-contract": ("coffee", 1, 0, 1.0),
        "f-same-end": ("coffee", 1, 0, 1.0),
        "g-cancelled": ("coffee", 1, 1, 1.0),
        "h-known-later": ("coffee", 1, 0, 1.0),
        "i-changed-mind": ("coffee", 1, 1, 0.0),
        "k-third-term": ("coffee", 3, 0, 1.0),
    }


def test_nothing_that_became_known_later_changes_what_was_known_at_a_cutoff(tmp_path, rows, table):
    """Rows that became known after a cutoff are there in one shop and not in the other, and in another order."""
    cutoff = AS_OF - timedelta(days=90)
    known = [row for row in rows if row["known_at"] < cutoff]
    past = contract_rows(shop_with(tmp_path / "past", known[::-1], as_of=cutoff))
    names = [name for name in table.column_names if name not in {LABEL, "sample_key"}]
    then, now = (
        sorted(map(repr, one.select(names).to_pylist())) for one in (at_cutoff(past, cutoff), at_cutoff(table, cutoff))
    )
    assert len(then) > 50
    assert then == now


def test_a_shop_without_contracts_needs_no_reason_and_one_with_few_says_what_is_missing(tmp_path):
    nothing = Shop.create(tmp_path / "none").view(predict.READS, predict.WRITES, run=Run.at(AS_OF))
    assert build_contract_forecasts(nothing).unanswered == ()
    rows = [row for n in range(25) for row in (order(f"u{n}", 10), started(f"u{n}", 210, 250 if n < 10 else 365))]
    few = shop_with(tmp_path / "few", rows, cutoffs=[AS_OF, AS_OF - timedelta(days=120)])
    missing = "contract_churn: 10 terms that ended, 10 of them not renewed; 100 and 20 are needed"
    assert build_contract_forecasts(few).unanswered == (missing,)
    assert few.read("contract_forecasts").num_rows == 0
