"""Numbers to draw customers by: from what they did, each once, whatever their ids are and however alike they are."""

import numpy as np
import pyarrow as pa

from patron.predict.sampling import MAX_KEY, SAMPLE_KEY, in_first_half, keys_of, sample_keys

CUSTOMERS = 12_000


def facts(ids, rng):
    """One order each, on one of 84 days and at one of ten prices, as files by the day have them."""
    second = rng.integers(0, 84, len(ids)) * 86_400
    columns = {"first": second, "last": second, "amount": rng.integers(1, 11, len(ids)) * 500}
    alike = {"facts": np.ones(len(ids), np.int64), "clock": np.zeros(len(ids), np.int64)}
    return pa.table({"customer_id": ids, **columns, **alike})


def named(prefix):
    return [f"{prefix}{n:05d}" for n in range(CUSTOMERS)]


def test_customers_who_did_the_same_have_numbers_of_their_own():
    """Before, 12,000 one-order customers of a file by the day had 840 numbers, and were drawn in clumps."""
    table = facts(named("a"), np.random.default_rng(1))
    keys = sample_keys(table, table.select(["customer_id"]))
    numbers = keys_of(keys)
    assert len(set(numbers.tolist())) == CUSTOMERS
    assert numbers.min() >= 0
    assert numbers.max() <= MAX_KEY
    share = (numbers <= MAX_KEY // 4).mean()
    assert abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / CUSTOMERS)
    assert abs(in_first_half(keys).mean() - 0.5) < 4 * np.sqrt(0.25 / CUSTOMERS)


def test_other_ids_change_no_number():
    rng = np.random.default_rng(2)
    table = facts(named("a"), rng)
    features = pa.table({"customer_id": named("a"), "visits": rng.random(CUSTOMERS)})
    shuffle = rng.permutation(CUSTOMERS)
    other = table.set_column(0, "customer_id", pa.array(np.array(named("b"))[shuffle])).sort_by("customer_id")
    seen = features.set_column(0, "customer_id", pa.array(np.array(named("b"))[shuffle]))
    one, again = sample_keys(table, features), sample_keys(other, seen)
    by_id = dict(zip(again["customer_id"].to_pylist(), again[SAMPLE_KEY].to_pylist(), strict=True))
    assert one[SAMPLE_KEY].to_pylist() == [by_id[name] for name in np.array(named("b"))[shuffle].tolist()]


def test_who_has_no_features_today_or_no_facts_has_a_number_too():
    table = facts(named("a"), np.random.default_rng(3))
    some = pa.table({"customer_id": [*named("a")[:10], "who has no facts"], "visits": np.arange(11.0)})
    assert sample_keys(table, some).num_rows == CUSTOMERS + 1
