import numpy as np
import pytest
from leaving_shop import CUSTOMERS, order_times, write_shop


@pytest.fixture(scope="session")
def churn():
    """Churn probabilities by customer, as good as any."""
    rng = np.random.default_rng(1)
    return dict(enumerate(rng.uniform(0.02, 0.98, CUSTOMERS).tolist()))


@pytest.fixture(scope="session")
def view(tmp_path_factory, churn):
    return write_shop(tmp_path_factory.mktemp("survival") / "w", order_times(), churn=churn)
