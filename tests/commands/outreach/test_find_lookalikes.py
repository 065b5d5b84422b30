"""Lookalikes: the customers most like a segment, ranked by models that did not know them."""

import csv
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

from patron.commands.outreach.audiences.find_lookalikes import (
    Segment,
    cross_fitted_scores,
    find_lookalikes,
    read_user_ids,
    separation,
    standardised_matrix,
    write_lookalikes,
)
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.govern.privacy.consent_ledger import Consent, iso_time, write_consents
from patron.govern.vault import Vault, initial_customer_id
from patron.schema.errors import BadFile, NotEnoughData, NotFound, SettingsError
from patron.schema.models import metrics
from patron.schema.table_checks import validated
from patron.schema.tables import BY_NAME
from patron.storage.runs.runs import Run
from patron.storage.store.store import RUNS

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
NOW = datetime(2024, 3, 2, tzinfo=UTC)
SIZE = 300


def planted(size=1_200, seed=2):
    """Customers of whom a fifth shop in the evening with coupons; what they pay says nothing about it."""
    rng = np.random.default_rng(seed)
    is_kind = rng.random(size) < 0.2
    columns = {
        "customer_id": [f"c{n:05d}" for n in range(size)],
        "coupon_order_share": np.where(is_kind, rng.beta(5, 4, size), rng.beta(2, 5, size)),
        "mean_order_hour": rng.normal(14, 2, size) + 2.5 * is_kind,
        "paid_cents_365_days": 10_000 * rng.lognormal(0, 1, size),
        "order_count_lifetime": rng.poisson(5, size) + 1.0,
        "favourite_part_of_day": np.where(rng.random(size) < 0.3 + 0.4 * is_kind, "evening", "morning"),
        **{f"noise_{n}": rng.normal(size=size) for n in range(20)},
    }
    return is_kind, pa.table(columns)


def test_held_out_members_come_first():
    """Half of the planted customers are given as members; the others are outside, and should be listed first."""
    is_kind, features = planted()
    is_member = is_kind & (np.random.default_rng(1).random(len(is_kind)) < 0.5)
    scores = cross_fitted_scores(features, is_member, rng=np.random.default_rng(0))
    outside = ~is_member
    hidden = is_kind[outside].astype(float)
    most_valuable = features["paid_cents_365_days"].to_numpy()[outside]
    at_random = np.random.default_rng(3).random(outside.sum())
    auc, by_value, by_chance = (metrics.auc(hidden, one) for one in (scores[outside], most_valuable, at_random))
    assert auc > 0.85
    assert abs(by_value - 0.5) < 0.1
    assert abs(by_chance - 0.5) < 0.1


def test_nobodys_score_was_trained_on_themselves():
    """Where membership is chance a model that knew the rows would tell them apart; these do not."""
    _, features = planted(size=300)
    is_member = np.random.default_rng(7).random(300) < 0.3
    auc, low, high = separation(
        cross_fitted_scores(features, is_member, rng=np.random.default_rng(0)), is_member, rng=np.random.default_rng(0)
    )
    assert low < 0.5 < high
    assert abs(auc - 0.5) < 0.12


def test_declared_traits_are_never_used():
    _, features = planted(size=300)
    gender = pa.array(["f", "m"] * 150)
    with_trait = features.append_column("declared_gender", gender)
    assert standardised_matrix(with_trait).tobytes() == standardised_matrix(features).tobytes()


def test_scores_do_not_depend_on_the_order_of_customers():
    is_kind, features = planted(size=400)
    order = np.random.default_rng(4).permutation(400)
    straight = cross_fitted_scores(features, is_kind, rng=np.random.default_rng(0))
    mixed = cross_fitted_scores(features.take(order), is_kind[order], rng=np.random.default_rng(0))
    assert mixed.tobytes() == straight[order].tobytes()


def write(shop, name, rows, run=None):
    table = BY_NAME[name]
    shop.lake.replace(table, validated(table, rows), part=run and run.run_id)


def customer_of(shop, user_id):
    return initial_customer_id(Vault.open(shop).token("user_id", user_id))


@pytest.fixture
def segmented_shop(shop):
    """A run of three hundred customers with planted kinds as personas 0 and 1; everybody is active but ten."""
    user_ids = [f"={n}" if n == 0 else f"u{n}" for n in range(SIZE)]
    tokens = Vault.open(shop).store_tokens("user_id", pa.array(user_ids), AS_OF).to_pylist()
    customers = [initial_customer_id(token) for token in tokens]
    identities = [
        {"token": token, "customer_id": customer, "is_user": True, "known_at": AS_OF}
        for token, customer in zip(tokens, customers, strict=True)
    ]
    write(shop, "identities", pa.Table.from_pylist(identities, BY_NAME["identities"].schema()))
    is_kind, features = planted(size=SIZE)
    run = Run.at(AS_OF)
    features = features.set_column(0, "customer_id", pa.array(customers))
    of_run = {"run_id": pa.array([run.run_id] * SIZE), "as_of": pa.array([AS_OF] * SIZE, pa.timestamp("us", "UTC"))}
    for name, values in (of_run | {"feature_version": pa.array(["v"] * SIZE)}).items():
        features = features.append_column(name, values)
    write(shop, "features", features, run)
    fives = {f"{name}_score": pa.array([5] * SIZE) for name in ("recency", "frequency", "monetary")}
    stages = pa.array(["lapsed" if n < 10 else "active" for n in range(SIZE)])
    parts = {"customer_id": pa.array(customers), "persona_id": pa.array((~is_kind).astype(np.int64))}
    write(shop, "segments", pa.table(of_run | fives | parts | {"lifecycle_stage": stages}), run)
    row = {"run_id": run.run_id, "as_of": AS_OF, "finished_at": AS_OF, "seconds": 1.0, "seed": 1, "policy_version": "1"}
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()}
    with shop.store.begin() as connection:
        connection.execute(sa.insert(RUNS).values(row | {"table_versions": versions, "summary": {}}))
    return shop, user_ids, is_kind


def answer(shop, user_id, purpose, *, is_granted):
    token = Vault.open(shop).token("user_id", user_id)
    words = dict.fromkeys(("wording", "wording_version", "policy_version", "locale", "channel"))
    times = {"occurred_at": iso_time(AS_OF), "known_at": iso_time(AS_OF)}
    consent = Consent(f"{user_id} {purpose}", token, purpose, is_granted, "consent", **times, **words)
    write_consents(shop.store, [consent])


def test_lookalikes_are_outside_the_segment_likest_first_with_the_shops_own_ids(segmented_shop):
    shop, user_ids, is_kind = segmented_shop
    found = find_lookalikes(RequestContext.from_name(shop, "Lee", now=NOW), Segment(persona_id=0), most=50)
    assert (found.member_count, found.candidate_count) == (is_kind.sum(), SIZE - is_kind.sum())
    outside = {one for one, is_member in zip(user_ids, is_kind, strict=True) if not is_member}
    assert {person.user_id for person in found.people} <= outside
    assert len({person.user_id for person in found.people}) == 50
    likeness = [person.likeness for person in found.people]
    assert likeness == sorted(likeness, reverse=True)
    assert 0 <= likeness[-1] <= likeness[0] <= 1
    assert [person.rank for person in found.people] == list(range(1, 51))
    assert 0.5 < found.auc_low <= found.auc <= found.auc_high
    assert found.verdict == "apart"
    assert find_lookalikes(RequestContext.from_name(shop, "Lee", now=NOW), Segment(persona_id=0), most=50) == found


def test_a_list_of_ids_is_a_segment_and_unknown_ids_are_counted(segmented_shop, tmp_path):
    shop, user_ids, is_kind = segmented_shop
    given = [one for one, is_member in zip(user_ids, is_kind, strict=True) if is_member][:30]
    path = tmp_path / "ids.csv"
    path.write_text("\n".join(["user_id", *given, "nobody", given[0], ""]), encoding="utf-8")
    found = find_lookalikes(
        RequestContext.from_name(shop, "Lee", now=NOW), Segment(user_ids=read_user_ids(path)), most=20
    )
    assert (found.member_count, found.unknown_count) == (30, 1)
    hidden = set(user_ids) - set(given)
    kinds = dict(zip(user_ids, is_kind, strict=True))
    share = np.mean([kinds[person.user_id] for person in found.people])
    assert {person.user_id for person in found.people} <= hidden
    assert share > 2 * np.mean([kinds[one] for one in hidden])


def test_a_segment_at_random_is_said_to_be_set_apart_by_nothing(segmented_shop):
    shop, user_ids, _ = segmented_shop
    chosen = np.random.default_rng(11).choice(user_ids[1:], 60, replace=False).tolist()
    found = find_lookalikes(RequestContext.from_name(shop, "Lee", now=NOW), Segment(user_ids=tuple(chosen)))
    assert found.auc_low <= 0.5
    assert found.verdict == "nothing_apart"


def test_those_who_object_to_profiling_are_in_no_list(segmented_shop):
    shop, *_ = segmented_shop
    first = (
        find_lookalikes(RequestContext.from_name(shop, "Lee", now=NOW), Segment(persona_id=0), most=5).people[0].user_id
    )
    answer(shop, first, "profiling", is_granted=False)
    found = find_lookalikes(RequestContext.from_name(shop, "Lee", now=NOW), Segment(persona_id=0), most=SIZE)
    assert first not in {person.user_id for person in found.people}
    assert found.objecting_count == 1


def test_who_may_be_contacted_is_shown_and_nobody_is_dropped_for_it(segmented_shop):
    shop, *_ = segmented_shop
    first, second = (
        person.user_id
        for person in find_lookalikes(
            RequestContext.from_name(shop, "Lee", now=NOW), Segment(persona_id=0), most=2
        ).people
    )
    answer(shop, first, "marketing", is_granted=True)
    answer(shop, second, "marketing", is_granted=False)
    people = find_lookalikes(RequestContext.from_name(shop, "Lee", now=NOW), Segment(persona_id=0), most=2).people
    assert [person.may_be_contacted for person in people] == [True, False]


@pytest.mark.parametrize(
    ("segment", "error", "what"),
    [
        (Segment(stage="lapsed"), NotEnoughData, "10 members of the segment are too few"),
        (Segment(user_ids=("u1", "u2")), NotEnoughData, "2 members"),
        (Segment(persona_id=7), NotFound, "no customer is in persona 7"),
        (Segment(stage="sleepy"), NotFound, "The run has active, lapsed"),
    ],
)
def test_a_segment_that_is_too_small_or_not_there_is_refused(segmented_shop, segment, error, what):
    with pytest.raises(error, match=what):
        find_lookalikes(RequestContext.from_name(segmented_shop[0], "Lee", now=NOW), segment)


def test_a_segment_is_named_in_exactly_one_way():
    for values in ({}, {"persona_id": 1, "stage": "active"}):
        with pytest.raises(SettingsError, match="exactly one way"):
            Segment(**values)


def test_the_file_runs_no_formula_and_is_for_its_owner_only(segmented_shop, tmp_path):
    shop, *_ = segmented_shop
    found = find_lookalikes(RequestContext.from_name(shop, "Lee", now=NOW), Segment(persona_id=0), most=SIZE)
    path = write_lookalikes(found, tmp_path / "lookalikes.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found.people)
    assert {row["user_id"] for row in rows if row["user_id"].lstrip("'").startswith("=")} <= {"'=0"}
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(BadFile, match="no such folder"):
        write_lookalikes(found, tmp_path / "missing" / "l.csv")
    with pytest.raises(BadFile, match="cannot be read"):
        read_user_ids(tmp_path / "none.txt")


def test_the_audit_log_records_the_list_without_names(segmented_shop):
    shop, *_ = segmented_shop
    people = find_lookalikes(RequestContext.from_name(shop, "Lee", now=NOW), Segment(persona_id=0), most=3).people
    entry = str(audit_log.entries(shop.store)[-1])
    assert "lookalikes listed" in entry
    assert not any(str(person.user_id) in entry or person.customer_id in entry for person in people)
