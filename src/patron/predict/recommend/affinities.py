"""Recommendations of a run: backtest, fit the champion, keep it, and rank products for every customer."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from patron.estimators.learner import installed_learners
from patron.govern.vault import IDENTIFIER
from patron.predict.origins import MAX_ORIGINS
from patron.predict.part_result import PartResult
from patron.predict.recommend import LEARNERS
from patron.predict.recommend.codes import encoded, numbers_of
from patron.predict.recommend.library_lists import FittedLists
from patron.predict.recommend.list_probabilities import ListProbabilities
from patron.predict.recommend.product_content import content_at, image_vectors, read_products
from patron.predict.recommend.prospect_lists import prospect_lists
from patron.predict.recommend.purchase_history import PurchaseHistory, promotions_at, read_promotions
from patron.predict.recommend.ranking_origins import RankingOrigin
from patron.predict.recommend.related_products import related_products, strongest_causes
from patron.predict.retraining import train_or_reuse
from patron.predict.training import TrainedModel, train_model
from patron.schema.models.questions import RECOMMEND
from patron.schema.table_definition import TIME
from patron.schema.tables import AFFINITIES, RELATED_PRODUCTS
from patron.storage.engine import timestamp
from patron.storage.runs.stage_view import StageView

MIN_HISTORY_DAYS = 56
FEATURE_VERSION = "none"
"""Lists are made from purchases, not from features."""
TABLES = ("order_lines", "promotions")

LINES = """
select customer_id, product_id, ordered_at, known_at, seconds_of(ordered_at) as ordered_second
from order_lines
where is_identified and not is_refund and product_id is not null and known_at < {now} and ordered_at < {now}
order by customer_id, product_id, ordered_second desc, known_at
"""
# why ordered: fading weights are summed as floats, so the order of rows must not depend on the engine's threads


def rank_products(view: StageView) -> PartResult:
    """Write `affinities` and `related_products`; nothing when no purchase names a product.

    The champion of an earlier run ranks until it is due to be trained again (`retraining.py`).
    """
    lines = lines_of(view)
    promotions = read_promotions(view.query, view.run.as_of)
    history = PurchaseHistory(history_at(lines, view.run.as_of), promotions_at(promotions, view.run.as_of))
    if not history.purchases.num_rows:
        view.write("affinities", AFFINITIES.empty())
        view.write("related_products", RELATED_PRODUCTS.empty())
        return PartResult()
    learners = tuple(
        learner for learner in LEARNERS if not learner.is_learned or view.policy.recommendations.ranking == "learned"
    )

    def train() -> TrainedModel:
        uses_content = any(learner.uses_content for learner in installed_learners(learners))
        products = read_products(view) if uses_content else None
        images = image_vectors(view.image_vectors_file) if uses_content else None

        def known_at(cutoff: datetime) -> PurchaseHistory:
            content = None if products is None else content_at(products, images, cutoff)
            return PurchaseHistory(history_at(lines, cutoff), promotions_at(promotions, cutoff), content)

        origins = ranking_origins(view, lines, known_at)
        trained = train_model(view, RECOMMEND, learners, origins, known_at(view.run.as_of))
        fitted = replace(cast("FittedLists", trained.fitted), probabilities=_probabilities(trained))
        return replace(trained, fitted=fitted, rows=history.purchases)

    model = train_or_reuse(view, RECOMMEND, learners, feature_version=FEATURE_VERSION, tables=TABLES, train=train)
    related = related_products(view)
    view.write("related_products", related)
    fitted = cast("FittedLists", model.fitted)
    view.write("affinities", affinities(view, fitted, history, related, model.training.model_version))
    return PartResult(model.backtests, trainings=(model.training,))


def _probabilities(trained: TrainedModel) -> ListProbabilities | None:
    """What the champion's scores meant at the newest past cutoff; None without one."""
    if not trained.result.origins:
        return None
    evaluation = trained.result.evaluations[trained.result.origins[-1], trained.learner.name]
    return ListProbabilities.fit(evaluation.listed) if evaluation.listed else None


def ranking_origins(
    view: StageView, lines: pa.Table, known_at: Callable[[datetime], PurchaseHistory]
) -> list[RankingOrigin]:
    """Past cutoffs whose 28 days are over and before which there was some history, the earliest first.

    `known_at` says what was known at a cutoff.
    """
    as_of = view.run.as_of
    first = view.query(f"select min(ordered_at) as first_at from order_lines where known_at < {timestamp(as_of)}")
    earliest = first["first_at"][0].as_py() + timedelta(days=MIN_HISTORY_DAYS)
    steps = (as_of - timedelta(days=RECOMMEND.horizon_days * step) for step in range(MAX_ORIGINS, 0, -1))
    return [
        RankingOrigin.of(cutoff, known_at(cutoff), _bought_after(lines, cutoff))
        for cutoff in steps
        if earliest <= cutoff
    ]


def lines_of(view: StageView) -> pa.Table:
    """All purchases known by the run, read and sorted once; customers and products are numbered (dictionaries)."""
    lines = view.query(LINES.format(now=timestamp(view.run.as_of)))
    for name in ("customer_id", "product_id"):
        lines = lines.set_column(lines.column_names.index(name), name, pa.chunked_array([encoded(lines[name])]))
    return lines


def history_at(lines: pa.Table, at: datetime) -> pa.Table:
    """Purchases known before a cutoff: customer_id, product_id, days_before."""
    cutoff = pa.scalar(at, TIME)
    return _days_before(
        lines.filter(pc.and_(pc.less(lines["known_at"], cutoff), pc.less(lines["ordered_at"], cutoff))), at
    )


def _bought_after(lines: pa.Table, cutoff: datetime) -> pa.Table:
    after, until = pa.scalar(cutoff, TIME), pa.scalar(cutoff + timedelta(days=RECOMMEND.horizon_days), TIME)
    is_known = pc.and_(pc.less(lines["ordered_at"], until), pc.less(lines["known_at"], until))
    return _days_before(lines.filter(pc.and_(pc.greater_equal(lines["ordered_at"], after), is_known)), cutoff)


def _days_before(lines: pa.Table, at: datetime) -> pa.Table:
    seconds = np.floor(at.timestamp()) - lines["ordered_second"].to_numpy()
    return lines.select(["customer_id", "product_id"]).append_column("days_before", pa.array(seconds / 86_400))


def affinities(
    view: StageView, fitted: FittedLists, known: PurchaseHistory, related: pa.Table, version: str
) -> pa.Table:
    """Rows of `affinities` for every customer of the history and every other one with a cutoff, and prospects."""
    run, history = view.run, known.purchases
    others = view.query(
        f"""select m.customer_id, cast(null as varchar) as product_id, 0.0 as days_before from this_cutoffs m
        where m.as_of = {timestamp(run.as_of)}
          and m.customer_id not in (select customer_id from history) order by m.customer_id""",
        history=history.select(["customer_id"]),
    )
    lists = fitted.predict(known.with_purchases(pa.concat_tables([history, others.cast(history.schema)])))
    of_prospects = prospect_lists(view, history).cast(lists.schema)
    is_customer = pc.is_in(of_prospects["customer_id"], pc.unique(lists["customer_id"]))
    lists = pa.concat_tables([lists, of_prospects.filter(pc.invert(is_customer))])
    lists = lists.filter(pc.invert(pc.is_in(lists["product_id"], _private_products(lists, history))))
    lists = _with_causes(lists, history, related)
    count = lists.num_rows
    added = {
        "run_id": pa.array([run.run_id] * count, pa.string()),
        "as_of": pa.array([run.as_of] * count, AFFINITIES.schema().field("as_of").type),
        "model_version": pa.array([version] * count, pa.string()),
    }
    for name, values in added.items():
        lists = lists.append_column(name, values)
    return lists


def _with_causes(lists: pa.Table, history: pa.Table, related: pa.Table) -> pa.Table:
    """The lists with the product of a customer's history that speaks for each product that is new to them."""
    together = related.filter(pc.equal(related["kind"], "together"))
    customers, bought = encoded(history["customer_id"]), encoded(history["product_id"])
    listed = lists["product_id"].combine_chunks().cast(pa.string())
    products = pa.concat_arrays([bought.dictionary, listed.unique(), together["related_id"].combine_chunks().unique()])
    products = products.unique()
    bought_codes = np.append(numbers_of(bought.dictionary, products), -1)
    cause = strongest_causes(
        customers.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        bought_codes[bought.indices.fill_null(len(bought_codes) - 1).to_numpy(zero_copy_only=False)],
        numbers_of(lists["customer_id"].combine_chunks().cast(pa.string()), customers.dictionary),
        numbers_of(listed, products),
        together,
        products,
    )
    is_new = np.asarray(pc.not_equal(lists["reason"], "buy_again"))
    has_cause = is_new & (cause >= 0)
    because = products.take(pa.array(np.where(has_cause, cause, 0), mask=~has_cause))
    reason = pc.if_else(pa.array(has_cause), "goes_with_history", lists["reason"])
    lists = lists.set_column(lists.column_names.index("reason"), "reason", reason)
    return lists.append_column("because_product_id", because)


def _private_products(lists: pa.Table, history: pa.Table) -> pa.Array:
    """Listed products whose id looks personal and that at most one customer has ordered: nobody is shown them."""
    ids = pc.unique(lists["product_id"].cast(pa.string())).to_pylist()
    tokens = pa.array(
        [identifier for identifier in ids if identifier and IDENTIFIER.fullmatch(identifier)], pa.string()
    )
    if not len(tokens):
        return tokens
    orders = pa.table({name: history[name].cast(pa.string()) for name in ("product_id", "customer_id")})
    orders = orders.filter(pc.is_in(orders["product_id"], tokens))
    counts = orders.group_by("product_id").aggregate([("customer_id", "count_distinct")])
    shared = counts.filter(pc.greater(counts["customer_id_count_distinct"], 1))["product_id"]
    return tokens.filter(pc.invert(pc.is_in(tokens, shared.combine_chunks())))
