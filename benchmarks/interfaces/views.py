"""The views of the console that people use most, each as addresses of different states."""

from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop

STATES = 40
"""Of each view."""
ONCE_A_RUN = frozenset({"today", "models", "retention"})
"""Views that look the same to everybody until the next run: only their very first request is one."""


def views(shop: Shop, *, seed: int = 17, states: int = STATES) -> dict[str, list[str]]:
    """Addresses by view; no customer is in two of them, as what was read of one is kept for the next look.

    There are `states` of views of a customer, and 40 of others.
    """
    ids = iter(_customers(shop, 3 * states + STATES, seed))
    customers = {
        name: [f"/customers/{next(ids)}{query}" for _ in range(states)]
        for name, query in {
            "customer": "",
            "customer, timeline": "?view=timeline",
            "customer, forecasts": "?view=forecasts",
        }.items()
    }
    sorts = ("value", "churn_probability", "value_at_risk", "last_order")
    return {
        "today": ["/"] * STATES,
        "customers": [f"/customers?sort={sort}&page={page}" for page in range(1, 11) for sort in sorts],
        "customers, search": [f"/customers?search={next(ids)[:5]}" for _ in range(STATES)],
        "customers, filtered": [
            f"/customers?churn_min={low}&value_min=1&orders_min=2&sort=value_at_risk&columns=value,value_at_risk,tags"
            for low in range(STATES)
        ],
        "customers of a category": [
            f"/customers?category={('Bakery', 'Dairy')[state % 2]}&paid_min={state // 2}" for state in range(STATES)
        ],
        "watch list": [f"/watch-list?page={page}" for page in range(1, STATES + 1)],
        **customers,
        "models": ["/models"] * STATES,
        "retention": ["/retention?by=channel"] * STATES,
        "data quality": ["/data-quality"] * STATES,
    }


def _customers(shop: Shop, count: int, seed: int) -> list[str]:
    """Some customers, the same of the same seed."""
    view = last_run(shop)
    sql = f"select customer_id from segments where run_id = '{view.run.run_id}' order by md5(customer_id || '{seed}')"
    return view.query(f"{sql} limit {count}")["customer_id"].to_pylist()
