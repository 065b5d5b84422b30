"""The holdout: the control group that gets no offer, assigned by a hash and stored, so that merged ids keep it."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from patron.storage.offers.policy import Holdout
from patron.storage.store.declared_store import DeclaredConnection, DeclaredStore
from patron.storage.store.store import EXPERIMENT_ARMS

HOLDOUT = "holdout"
REACHABLE = "reachable"


def arm_of(experiment: str, customer_id: str, share: float) -> str:
    """Arm of a customer: the same for the same experiment and customer, whatever the order or the time."""
    digest = hashlib.sha256(f"{experiment}/{customer_id}".encode()).digest()
    return HOLDOUT if int.from_bytes(digest[:8], "big") < share * 2**64 else REACHABLE


def is_in_holdout(store: DeclaredStore, holdout: Holdout, customers: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Whether each customer is in the holdout, or would be once they are assigned; stores nothing."""
    with store.begin() as connection:
        arms = _stored_arms(connection, holdout)
    each = (arms.get(customer) or arm_of(holdout.experiment, customer, holdout.share) for customer in customers)
    return np.array([arm == HOLDOUT for arm in each], dtype=np.bool_)


def assign_holdout(
    store: DeclaredStore, holdout: Holdout, customers: Sequence[str], *, at: datetime
) -> npt.NDArray[np.bool_]:
    """Assign customers who have no arm yet, at the cutoff of the run; returns whether each is in the holdout."""
    table = EXPERIMENT_ARMS
    with store.begin() as connection:
        arms = _stored_arms(connection, holdout)
        new = {
            customer: arm_of(holdout.experiment, customer, holdout.share)
            for customer in customers
            if customer not in arms
        }
        if new:
            rows = [
                {"experiment": holdout.experiment, "customer_id": one, "arm": arm, "assigned_at": at}
                for one, arm in new.items()
            ]
            connection.execute(sa.insert(table), rows)
    arms |= new
    return np.array([arms[customer] == HOLDOUT for customer in customers], dtype=np.bool_)


def _stored_arms(connection: DeclaredConnection, holdout: Holdout) -> dict[str, str]:
    table = EXPERIMENT_ARMS
    stored = sa.select(table.c.customer_id, table.c.arm).where(table.c.experiment == holdout.experiment)
    return {row.customer_id: row.arm for row in connection.execute(stored)}
