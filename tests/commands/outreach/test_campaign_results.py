"""The effect of a campaign for audiences of which nothing can be said."""

import pyarrow as pa

from patron.commands.outreach.campaigns.campaign_results import arm_summaries, estimates, guard_rails, sample_ratio

AMOUNTS = ("net_cents", "before_cents", "margin_cents", "order_count", "paid_cents")
AMOUNTS += ("discount_cents", "refund_count", "refund_cents")


def people(**customers):
    names = [name for name, count in customers.items() for _ in range(count)]
    return pa.table(
        {"arm": pa.array(names, pa.string())} | {amount: pa.array([0.0] * len(names)) for amount in AMOUNTS}
    )


def test_an_audience_of_nobody_or_of_one_arm_has_no_effect():
    for audience in (people(), people(treated=1), people(holdout=1), people(treated=1, holdout=1)):
        assert estimates(audience) == guard_rails(audience) == ()
        assert sum(arm.customers for arm in arm_summaries(audience).values()) == audience.num_rows
    assert sample_ratio(people(), {0.2}) is None
