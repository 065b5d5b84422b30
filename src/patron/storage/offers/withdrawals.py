"""Runs whose offers were withdrawn before they were sent: what they decided counts nowhere, and stays on record."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from patron.schema.tables import ALTERNATIVES, DECISIONS, EXPOSURES, PROPENSITIES
from patron.storage.models.model_decisions import utc
from patron.storage.offers.proposal_tables import WITHDRAWALS
from patron.storage.store.store import Store
from patron.storage.workspace.run_files import held_runs

TABLES_OF_DECISIONS = (DECISIONS.name, ALTERNATIVES.name, PROPENSITIES.name, EXPOSURES.name)
"""Tables of the lake that stages read without the rows of withdrawn runs."""


@dataclass(frozen=True)
class Withdrawal:
    """Who withdrew the offers of a run, when and why."""

    run_id: str
    withdrawn_at: datetime
    withdrawn_by: str
    """As written."""
    reason: str = ""
    """As written; empty without one."""


def withdrawals(store: Store) -> tuple[Withdrawal, ...]:
    """All withdrawals, in order of the runs."""
    with store.begin() as connection:
        rows = connection.execute(sa.select(WITHDRAWALS).order_by(WITHDRAWALS.c.run_id)).mappings().all()
    return tuple(Withdrawal(**{**row, "withdrawn_at": utc(row["withdrawn_at"])}) for row in rows)


def withdrawal_of(store: Store, run_id: str, *, before: datetime | None = None) -> Withdrawal | None:
    """The withdrawal of a run, by now or before a time; None without one."""
    withdrawal = next((one for one in withdrawals(store) if one.run_id == run_id), None)
    return withdrawal if withdrawal and (before is None or withdrawal.withdrawn_at < before) else None


def withdrawn_runs(store: Store, *, before: datetime | None = None) -> tuple[str, ...]:
    """Runs that were withdrawn, by now or before a time."""
    return tuple(
        withdrawal.run_id for withdrawal in withdrawals(store) if before is None or withdrawal.withdrawn_at < before
    )


def undelivered_runs(store: Store) -> tuple[str, ...]:
    """Runs whose decisions reached nobody: withdrawn ones, and those that ended while sending was held."""
    return (*withdrawn_runs(store), *held_runs(store))
