import numpy as np
import pyarrow as pa

from patron.measure.drift import feature_drift


def test_drift_sees_a_feature_that_moved_and_not_one_that_stayed():
    rng = np.random.default_rng(1)
    was = pa.table({"run_id": ["a"] * 5_000, "stays": rng.normal(0, 1, 5_000), "moves": rng.normal(0, 1, 5_000)})
    now = pa.table({"run_id": ["b"] * 5_000, "stays": rng.normal(0, 1, 5_000), "moves": rng.normal(2, 1, 5_000)})
    found = {row["feature"]: row["population_stability_index"] for row in feature_drift(was, now)}
    assert set(found) == {"stays", "moves"}
    assert found["stays"] < 0.02
    assert found["moves"] > 1.0
