"""Tables of the store for work in the background: runs, previews and imports from the console, and when runs start."""

import sqlalchemy as sa

from patron.storage.store.store_metadata import METADATA, UTC_TIME

JOBS = sa.Table(
    "jobs",
    METADATA,
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False, comment="run, preview, import or trial"),
    sa.Column("state", sa.Text, nullable=False, comment="waiting, running, finished or failed"),
    sa.Column("options", sa.JSON, nullable=False, comment="what to do: the cutoff, the budget, the file, the campaign"),
    sa.Column("requested_at", UTC_TIME, nullable=False),
    sa.Column("requested_by", sa.Text, nullable=False, comment="as the audit log writes it; schedule"),
    sa.Column("started_at", UTC_TIME),
    sa.Column("finished_at", UTC_TIME),
    sa.Column("step", sa.Text, nullable=False, comment="what it is at; empty before"),
    sa.Column("done_count", sa.BigInteger, nullable=False, comment="steps or rows that are done"),
    sa.Column("whole_count", sa.BigInteger, comment="steps or rows in all; NULL where it is not known"),
    sa.Column("problem", sa.JSON, comment="of one that failed: what, where, todo"),
    sa.Column("result", sa.JSON, comment="of one that finished: a summary without personal values"),
)
RUN_SCHEDULES = sa.Table(
    "run_schedules",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True, comment="nightly"),
    sa.Column("local_time", sa.Text, nullable=False, comment="HH:MM by the shop's clock; empty: no run by itself"),
    sa.Column("changed_at", UTC_TIME, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
)
SETUP_STEPS = sa.Table(
    "setup_steps",
    METADATA,
    sa.Column("step", sa.Text, primary_key=True, comment="step of the set-up that nobody needs to see any more"),
    sa.Column("user_id", sa.Text, primary_key=True, comment="whose step it is; empty: everybody's"),
    sa.Column("dismissed_at", UTC_TIME, nullable=False),
    sa.Column("dismissed_by", sa.Text, nullable=False),
)
