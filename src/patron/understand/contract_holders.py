"""Who has a running contract at a cutoff that they had not cancelled, as far as was known then."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from patron.schema.numbers import float_column
from patron.storage.runs.stage_view import StageView

RUNNING = """
select p.place, max(case when t.customer_id is not null then 1 else 0 end) as is_running
from places p left join contracts t on t.customer_id = p.customer_id and t.known_at < p.as_of and t.ends_at > p.as_of
    and (t.cancellation_known_at is null or t.cancellation_known_at >= p.as_of)
group by p.place order by p.place"""


def contract_holders(view: StageView, customers: pa.Table) -> npt.NDArray[np.bool_]:
    """Whether each row of (customer_id, as_of) has such a contract, in the order of the rows."""
    places = customers.select(["customer_id", "as_of"]).append_column("place", pa.array(np.arange(customers.num_rows)))
    return float_column(view.query(RUNNING, places=places), "is_running") > 0
