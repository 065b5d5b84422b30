"""Ten products to show each customer: the best of predict's candidates."""

from patron.storage.stage_view import StageView

SHOWN = 10


def recommendations_query(run_id: str, count: int = SHOWN) -> str:
    """SQL for the first products of each customer's candidates, renumbered from 1."""
    return f"""
with chosen as (
  select run_id, customer_id, as_of, product_id, reason,
    row_number() over (partition by customer_id order by "rank", product_id) as place
  from affinities where run_id = '{run_id}')
select run_id, customer_id, as_of, cast(place as bigint) as "rank", product_id, reason from chosen
where place <= {count}
"""


def write_recommendations(view: StageView) -> None:
    """Write `recommendations`."""
    view.write_query("recommendations", recommendations_query(view.run.run_id))
