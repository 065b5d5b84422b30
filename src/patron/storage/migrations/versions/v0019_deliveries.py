"""Delivery of each run's offers; runs of before keep what their policy and their outbox say of them."""

from datetime import timedelta

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

WITHIN_DAYS = 7
"""How long runs of before hold what their offers use up."""
TIME = sa.DateTime(timezone=True)
RUNS = sa.table("runs", sa.column("run_id"), sa.column("finished_at", TIME), sa.column("summary", sa.JSON()))
WITHDRAWALS = sa.table(
    "withdrawals",
    *(sa.column("run_id"), sa.column("withdrawn_at", TIME), sa.column("withdrawn_by"), sa.column("reason")),
)


def upgrade() -> None:
    """Make the table of deliveries of that of withdrawals and of what each run kept."""
    table = op.create_table(
        "deliveries",
        sa.Column("run_id", sa.Text(), nullable=False, comment="run whose offers it is about"),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="reserved, confirmed, expired, withdrawn, held, campaign"
        ),
        sa.Column("reserved_until", TIME, comment="when a reservation expires; NULL where the run kept none"),
        sa.Column("changed_at", TIME, comment="when it was confirmed, expired or withdrawn; NULL while reserved"),
        sa.Column("changed_by", sa.Text(), nullable=False, comment="who confirmed or withdrew, as written; else empty"),
        sa.Column(
            "evidence",
            sa.Text(),
            nullable=False,
            comment="of a confirmation: policy, person, receipt, taken; or empty",
        ),
        sa.Column("sent_at", TIME, comment="when confirmed offers were sent; NULL where that is not known"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it was withdrawn, as written; empty without one"),
        sa.Column("campaign", sa.Text(), nullable=False, comment="campaign that sends them; empty without one"),
        sa.PrimaryKeyConstraint("run_id"),
    )
    connection = op.get_bind()
    empty = {
        "reserved_until": None,
        "changed_at": None,
        "changed_by": "",
        "evidence": "",
        "sent_at": None,
        "reason": "",
        "campaign": "",
    }
    rows = {
        one.run_id: empty
        | {"run_id": one.run_id, "state": "withdrawn", "changed_at": one.withdrawn_at, "changed_by": one.withdrawn_by}
        | {"reason": one.reason}
        for one in connection.execute(sa.select(WITHDRAWALS))
    }
    for run in connection.execute(sa.select(RUNS)):
        files = (run.summary or {}).get("files", {})
        if (run.summary or {}).get("is_sending_held"):
            rows.setdefault(run.run_id, empty | {"run_id": run.run_id, "state": "held", "changed_at": run.finished_at})
        if run.run_id in rows or not any(name.startswith("offers_") for name in files.get("outbox", {})):
            continue
        row = empty | {"run_id": run.run_id, "reserved_until": run.finished_at + timedelta(days=WITHIN_DAYS)}
        state = {"state": "reserved"}
        if files.get("policy", {}).get("channel.is_delivered"):
            state = {"state": "confirmed", "evidence": "policy", "changed_at": run.finished_at}
            state["sent_at"] = run.finished_at
        rows[run.run_id] = row | state
    if rows:
        op.bulk_insert(table, list(rows.values()))
    op.drop_table("withdrawals")
