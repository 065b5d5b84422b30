"""Who responds to a message: truth from planted habits, what counts as a response, no leak, and no claim unproven."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from patron.estimators.learner import FORECAST, LABEL
from patron.predict import READS, WRITES
from patron.predict.message_response import LEARNERS
from patron.predict.message_response.message_rows import learning_rows, read_recipients
from patron.predict.message_response.messages import messages_query, read_message_types
from patron.predict.message_response.response_forecasts import build_response_forecasts
from patron.predict.origins import Forecasts, later_origins
from patron.schema.models import metrics
from patron.schema.models.questions import MESSAGE_RESPONSE
from patron.schema.numbers import float_column
from patron.schema.table_checks import validated
from patron.schema.tables import BY_NAME
from patron.storage.models import model_registry
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop

pytestmark = pytest.mark.xdist_group("message_response")
AS_OF = datetime(2023, 12, 1, tzinfo=UTC)
DAYS, CUSTOMERS, KEEN = 300, 140, 0.4
LETTERS, VOUCHERS = range(10, 300, 20), range(20, 300, 40)
TABLES = ("interactions", "orders", "order_lines", "exposures")


def at(day):
    return AS_OF - timedelta(days=DAYS - day)


def message(who, day, campaign, **more):
    return {"customer_id": who, "kind": "message_sent", "day": day, "campaign_id": campaign, "channel": "email"} | more


def click(who, day, campaign, **more):
    return message(who, day, campaign) | {"kind": "message_clicked"} | more


def order(who, day, **more):
    return {"customer_id": who, "kind": "order", "day": day, "paid_cents": 2_000} | more


def planted(seed=4):
    """Some customers click newsletters and use vouchers often, whoever else they are; all order alike."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(CUSTOMERS):
        who, is_keen = f"c{number:03d}", rng.random() < KEEN
        rows += [order(who, day) for day in rng.uniform(0, DAYS, 4)]
        for day in LETTERS:
            rows.append(message(who, day, f"letter-{day}"))
            if rng.random() < (0.7 if is_keen else 0.04):
                rows.append(click(who, day + rng.uniform(0.1, 3), f"letter-{day}"))
        for day in VOUCHERS:
            coupon = f"SAVE{day}"
            mail = {"channel": "mail", "coupon": coupon, "message_type": "voucher", "valid_days": 14.0}
            rows.append(message(who, day, f"voucher-{day}", **mail))
            if rng.random() < (0.5 if is_keen else 0.02):
                rows.append(order(who, day + rng.uniform(1, 13), coupon=coupon))
    return rows


def facts_of(rows):
    """Interactions, orders and order lines of rows as above; known when they happen, unless `known` says a day."""
    tables = {name: [] for name in TABLES}
    for number, row in enumerate(rows):
        times = {"occurred_at": at(row["day"]), "known_at": at(row.get("known", row["day"]))}
        same = {"customer_id": row["customer_id"], "is_identified": True, **times}
        zeros = {"local_hour": 1, "local_day": int(times["occurred_at"].timestamp() // 86_400)}
        named = {key: row.get(key) for key in ("campaign_id", "coupon", "channel")}
        if row["kind"] == "exposure":
            names = {"decision_id": row["decision_id"], "action": row["action"], "channel": "file"}
            reached = {"exposed_at": times["occurred_at"], "is_delivered": row.get("is_delivered", True)}
            tables["exposures"].append({"customer_id": row["customer_id"], "run_id": "r", **names, **reached})
        elif row["kind"] == "order":
            paid = {"gross_cents": row["paid_cents"], "discount_cents": 0, "paid_cents": row["paid_cents"]}
            one = same | paid | {"order_id": f"o{number}", "has_coupon": row.get("coupon") is not None}
            counts = dict.fromkeys(("line_count", "product_count", "unit_count"), 1)
            tables["orders"].append(one | counts | zeros | {"local_weekday": 1})
            line = {"line_id": f"o{number}", "ordered_at": times["occurred_at"], "quantity": 1, "has_price": True}
            tables["order_lines"].append(one | line | named | {"is_refund": False})
        else:
            more = {key: row.get(key) for key in ("message_type", "valid_days", "decision_id")}
            ids = {"source": "s", "event_id": f"e{number}", "kind": row["kind"]}
            tables["interactions"].append(same | ids | named | more | zeros)
    return tables


def shop_with(folder, rows, as_of=AS_OF):
    shop, run = Shop.create(folder), Run.at(as_of)
    for name, facts in facts_of(rows).items():
        table = validated(BY_NAME[name], pa.Table.from_pylist(facts, BY_NAME[name].schema()))
        clock = "exposed_at" if name == "exposures" else "known_at"
        known = table.filter(pc.less(table[clock], pa.scalar(as_of, table[clock].type)))
        shop.lake.replace(BY_NAME[name], known)
    return shop.view(READS, WRITES, run=run)


def rows_of(view):
    return learning_rows(view, read_message_types(view), read_recipients(view))


@pytest.fixture(scope="module")
def rows():
    return planted()


@pytest.fixture(scope="module")
def view(tmp_path_factory, rows):
    return shop_with(tmp_path_factory.mktemp("responses") / "w", rows)


@pytest.fixture(scope="module")
def table(view):
    """Messages whose time is over, with features and labels."""
    return rows_of(view)


@pytest.fixture(scope="module")
def built(view):
    return build_response_forecasts(view), view.read("response_forecasts")


def test_who_responded_before_is_likely_to_respond_and_both_types_are_forecast(built, rows):
    result, forecasts = built
    assert result.unanswered == ()
    clicks = dict.fromkeys({row["customer_id"] for row in rows}, 0)
    for row in rows:
        clicks[row["customer_id"]] += row["kind"] == "message_clicked"
    kinds = {(row["channel"], row["message_type"], row["response"]) for row in forecasts.to_pylist()}
    assert kinds == {("email", "any", "click"), ("mail", "voucher", "order")}
    for channel, keen, others in (("email", 0.7, 0.04), ("mail", 0.5, 0.02)):
        of = [row for row in forecasts.to_pylist() if row["channel"] == channel]
        assert len(of) == CUSTOMERS
        likely = [row["probability"] for row in of if clicks[row["customer_id"]] >= 5]
        unlikely = [row["probability"] for row in of if clicks[row["customer_id"]] <= 2]
        assert np.mean(likely) == pytest.approx(keen, abs=0.1)
        assert np.mean(unlikely) == pytest.approx(others, abs=0.05)


def test_the_table_counts_messages_and_responses_of_a_type_so_far(built, rows):
    by_key = {(row["customer_id"], row["channel"]): row for row in built[1].to_pylist()}
    for number in range(0, CUSTOMERS, 20):
        who = f"c{number:03d}"
        clicks = sum(row["kind"] == "message_clicked" and row["customer_id"] == who for row in rows)
        used = sum(
            row.get("coupon") is not None and row["kind"] == "order" and row["customer_id"] == who for row in rows
        )
        assert (by_key[who, "email"]["message_count"], by_key[who, "email"]["response_count"]) == (len(LETTERS), clicks)
        assert (by_key[who, "mail"]["message_count"], by_key[who, "mail"]["response_count"]) == (len(VOUCHERS), used)


def test_every_learner_is_judged_and_the_champion_is_better_than_every_baseline(view, built):
    evaluated = [row for row in built[0].backtests.to_pylist() if row["origin"] == "all"]
    assert {row["learner"] for row in evaluated} == {learner.name for learner in LEARNERS}
    assert {row["metric"] for row in evaluated} == {metric.name for metric in MESSAGE_RESPONSE.all_metrics}
    champion = evaluated[0]["champion"]
    primary = next(row for row in evaluated if (row["learner"], row["metric"]) == (champion, "log_loss"))
    assert primary["gain_low"] > 0
    card = model_registry.card(view.models_folder, view.declared_store, f"message_response/{view.run.run_id}")
    assert card["learner"] == champion


def outcomes(view):
    """By customer and day of the sending: whether an order and a click came of it."""
    table = view.query(f"select * from ({messages_query(view)}) m order by customer_id, sent, campaign")
    return [
        (row["customer_id"], row["ordered_known"] is not None, row["clicked_known"] is not None)
        for row in table.to_pylist()
    ]


def test_what_counts_as_a_response(tmp_path):
    coupon = {"coupon": "TEN", "valid_days": 10.0}
    view = shop_with(
        tmp_path / "w",
        [
            *(message("a-used", 100, "x", **coupon), order("a-used", 109, coupon="TEN")),
            *(message("b-too-late", 100, "x", **coupon), order("b-too-late", 111, coupon="TEN")),
            *(message("c-other", 100, "x", **coupon), order("c-other", 105, coupon="FIVE"), order("c-other", 106)),
            *(message("d-before", 100, "x", **coupon), order("d-before", 99, coupon="TEN")),
            *(message("e-known-late", 100, "x", **coupon), order("e-known-late", 105, coupon="TEN", known=111)),
            *(message("f-campaign", 100, "x"), order("f-campaign", 129, campaign_id="x")),
            *(message("g-click", 100, "x"), click("g-click", 101, "x"), message("g-click", 140, "y")),
            *(message("h-redeemed", 100, "x"), click("h-redeemed", 101, "x", kind="coupon")),
            *(message("i-again", 100, "x"), message("i-again", 110, "x"), click("i-again", 111, "x")),
            *(message("j-twice", 100, "x"), message("j-twice", 100.1, "x"), click("j-twice", 101, "x")),
            {"customer_id": "k-decision", "kind": "exposure", "day": 100, "decision_id": "d1", "action": "TEN"},
            click("k-decision", 101, None, decision_id="d1"),
            order("k-decision", 120, coupon="TEN"),
            {"customer_id": "k-policy", "kind": "exposure", "day": 100, "decision_id": "d3", "action": "FIVE"},
            order("k-policy", 106, coupon="FIVE"),
            {"customer_id": "l-kept", "kind": "exposure", "day": 100, "decision_id": "d2", "action": "TEN"}
            | {"is_delivered": False},
            message("m-no-name", 100, None),
        ],
    )
    five = view.policy.offers[0].model_copy(update={"id": "FIVE", "valid_days": 5})
    view.policy = view.policy.model_copy(update={"offers": (five,)})
    assert outcomes(view) == [
        ("a-used", True, False),
        ("b-too-late", False, False),
        ("c-other", False, False),
        ("d-before", False, False),
        ("e-known-late", False, False),
        ("f-campaign", True, False),
        ("g-click", False, True),
        ("g-click", False, False),
        ("h-redeemed", True, False),
        ("i-again", False, False),
        ("i-again", False, True),
        ("j-twice", False, True),
        ("k-decision", True, True),
        ("k-policy", False, False),
    ]


def test_labels_are_orders_where_the_shop_records_them_and_clicks_elsewhere(table, rows):
    assert table.num_rows == CUSTOMERS * sum(day + 30 <= DAYS for day in LETTERS) + CUSTOMERS * len(VOUCHERS)
    by_kind = {kind: table.filter(pc.equal(table["message_kind"], kind)) for kind in ("email/any", "mail/voucher")}
    over = {f"letter-{day}" for day in LETTERS if day + 30 <= DAYS}
    clicks = sum(row["kind"] == "message_clicked" and row["campaign_id"] in over for row in rows)
    used = sum(row["kind"] == "order" and row.get("coupon") is not None for row in rows)
    assert pc.sum(by_kind["mail/voucher"][LABEL]).as_py() == used
    assert pc.sum(by_kind["email/any"][LABEL]).as_py() == clicks


def test_nothing_that_became_known_after_a_message_was_sent_changes_its_features(tmp_path, rows):
    """Later rows, and rows of before that became known later, are there in one shop and not in the other."""
    day = 150
    before = [row for row in rows if row["day"] < day]
    late = [order(f"c{n:03d}", day - 5, known=day + 1, coupon="SAVE140") for n in range(0, CUSTOMERS, 3)]
    late += [click(f"c{n:03d}", day - 9, "letter-130", known=day + 1) for n in range(0, CUSTOMERS, 2)]
    whole = rows_of(shop_with(tmp_path / "whole", rows + late))
    past = rows_of(shop_with(tmp_path / "past", before, as_of=at(day) + timedelta(days=30)))
    until = pa.scalar(at(day), whole["sent_at"].type)
    tables = [
        table.filter(pc.less(table["sent_at"], until)).sort_by(
            [("customer_id", "ascending"), ("sent_at", "ascending"), ("message_kind", "ascending")]
        )
        for table in (whole, past)
    ]
    assert tables[0].num_rows == tables[1].num_rows > 1_000
    names = set(whole.column_names) - {"customer_id", "as_of", "sample_key", "until", "campaign", LABEL}
    assert {name for name in names if not is_equal(tables[0][name], tables[1][name])} == set()


def is_equal(one, other):
    """Whether two columns are alike; a missing number equals a missing number."""
    if pa.types.is_floating(one.type):
        return np.array_equal(one.to_numpy(), other.to_numpy(), equal_nan=True)
    return one.equals(other)


def test_neither_ids_nor_the_order_of_rows_change_a_forecast(tmp_path, built, rows):
    shuffled = [rows[place] for place in np.random.default_rng(1).permutation(len(rows))]
    secret = {f"c{number:03d}": f"x{(number * 97) % 1009:04d}" for number in range(CUSTOMERS)}
    other = shop_with(tmp_path / "w", [row | {"customer_id": secret[row["customer_id"]]} for row in shuffled])
    result = build_response_forecasts(other)
    assert result.backtests.equals(built[0].backtests)
    back = {new: name for name, new in secret.items()}

    def of(table):
        return sorted(
            (back.get(row["customer_id"], row["customer_id"]), row["channel"], row["probability"])
            for row in table.to_pylist()
        )

    assert of(other.read("response_forecasts")) == of(built[1])


def test_learners_save_what_they_forecast_and_forecast_a_row_alone_as_among_many(table, tmp_path):
    origin = later_origins(table, "sent_at", "until")[0]
    for learner in LEARNERS:
        fitted = learner.fit(origin.known())
        many = float_column(fitted.predict(origin.test_rows), FORECAST)
        assert np.isfinite(many).all()
        assert 0 <= many.min() <= many.max() <= 1
        alone = [
            float_column(fitted.predict(origin.test_rows.slice(n, 1)), FORECAST)[0] for n in range(0, len(many), 211)
        ]
        assert np.array_equal(many[::211], alone)
        (tmp_path / learner.name).mkdir()
        fitted.save(tmp_path / learner.name)
        assert (
            learner.fitted.load(tmp_path / learner.name)
            .predict(origin.test_rows)
            .equals(fitted.predict(origin.test_rows))
        )


def test_an_origin_learns_only_from_messages_whose_outcome_was_known_and_judges_each_message_once(table):
    origins = later_origins(table, "sent_at", "until")
    judged = []
    for origin in origins:
        assert pc.max(origin.known()["until"]).as_py() <= origin.cutoff <= pc.min(origin.test_rows["sent_at"]).as_py()
        judged += list(
            zip(origin.test_rows["customer_id"].to_pylist(), origin.test_rows["sent_at"].to_pylist(), strict=True)
        )
    assert len(judged) == len(set(judged)) + sum(  # a letter and a voucher may go out together
        day in VOUCHERS and at(day) >= origins[0].cutoff for day in LETTERS
    )
    later = pc.sum(pc.greater_equal(table["sent_at"], pa.scalar(origins[0].cutoff, table["sent_at"].type))).as_py()
    assert len(judged) == later


def test_auc_within_campaigns_is_the_mean_of_those_with_both_outcomes():
    actual = np.array([1.0, 0, 0, 1, 1, 0, 0, 0])
    forecast = np.array([0.9, 0.1, 0.2, 0.3, 0.8, 0.7, 0.1, 0.2])
    campaigns = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    part = Forecasts(np.arange(8), actual, forecast, campaigns=campaigns)
    assert part.value(metrics.WITHIN_CAMPAIGN_AUC) == pytest.approx((1.0 + 0.5) / 2)
    weights = np.array([[1.0] * 8, [0, 0, 0, 1, 1, 1, 0, 0], [0, 1, 1, 0, 0, 1, 1, 1]])
    assert part.value(metrics.WITHIN_CAMPAIGN_AUC, weights)[:2] == pytest.approx([0.75, 0.5])
    assert np.isnan(part.value(metrics.WITHIN_CAMPAIGN_AUC, weights)[2])
    assert part.value(metrics.AUC) == metrics.auc(actual, forecast)


def test_baselines_are_those_that_the_question_names():
    assert {learner.name for learner in LEARNERS if learner.is_baseline} == set(MESSAGE_RESPONSE.baselines)
    assert MESSAGE_RESPONSE.default in {learner.name for learner in LEARNERS}


def test_a_shop_without_messages_needs_no_reason_and_one_with_few_says_what_is_missing(tmp_path, rows):
    orders = [row for row in rows if row["kind"] == "order" and row.get("coupon") is None]
    nothing = shop_with(tmp_path / "none", orders)
    assert build_response_forecasts(nothing).unanswered == ()
    assert nothing.read("response_forecasts").num_rows == 0
    few = shop_with(tmp_path / "few", orders + [message(f"c{n:03d}", 100, "x") for n in range(40)])
    result = build_response_forecasts(few)
    assert result.unanswered == ("message_response: 40 messages with 0 responses; 300 and 50 are needed",)
    assert few.read("response_forecasts").num_rows == 0


def test_messages_all_sent_on_one_day_cannot_be_judged(tmp_path, rows):
    one = [row for row in rows if row["day"] < 20]
    clicks = [click(f"c{n:03d}", 11, "letter-10") for n in range(0, CUSTOMERS, 2)]
    many = [message(f"c{n:03d}", 10, f"more-{k}") for n in range(CUSTOMERS) for k in range(3)]
    result = build_response_forecasts(shop_with(tmp_path / "w", one + clicks + many))
    assert "too little history" in result.unanswered[0]
