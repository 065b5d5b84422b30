"""The customers no offer reaches: drawn by a hash, stored once, so that a merge of identities cannot flip them."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from patron.storage.declared_store import DeclaredStore
from patron.storage.policy import Holdout
from patron.storage.store import ASSIGNMENTS

HELD_OUT = "holdout"
REACHABLE = "reachable"


def drawn(experiment: str, customer_id: str, share: float) -> str:
    """Arm of a customer: the same for the same experiment and customer, whatever the order or the time."""
    digest = hashlib.sha256(f"{experiment}/{customer_id}".encode()).digest()
    return HELD_OUT if int.from_bytes(digest[:8], "big") < share * 2**64 else REACHABLE


def held_out(
    store: DeclaredStore, holdout: Holdout, customers: Sequence[str], *, at: datetime
) -> npt.NDArray[np.bool_]:
    """Whether each customer is held out; those never assigned are assigned now, at the cutoff of the run."""
    table = ASSIGNMENTS
    with store.begin() as connection:
        found = sa.select(table.c.customer_id, table.c.arm).where(table.c.experiment == holdout.experiment)
        arms: dict[str, str] = {row.customer_id: row.arm for row in connection.execute(found)}
        new = {one: drawn(holdout.experiment, one, holdout.share) for one in customers if one not in arms}
        if new:
            rows = [
                {"experiment": holdout.experiment, "customer_id": one, "arm": arm, "assigned_at": at}
                for one, arm in new.items()
            ]
            connection.execute(sa.insert(table), rows)
    arms |= new
    return np.array([arms[one] == HELD_OUT for one in customers], dtype=np.bool_)
