"""Table of the store for requests of people about their data, until each is answered."""

import sqlalchemy as sa

from patron.storage.store.store_metadata import METADATA, UTC_TIME

PRIVACY_REQUESTS = sa.Table(
    "privacy_requests",
    METADATA,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False, comment="access, erasure, rectification, objection, portability"),
    sa.Column("customer_id", sa.Text, comment="NULL where nobody is known by the identifier"),
    sa.Column("content", sa.LargeBinary, comment="encrypted: identifier and words; NULL once erased"),
    sa.Column("source", sa.Text, nullable=False, comment="how it arrived: email, phone, letter, chat, form"),
    sa.Column("state", sa.Text, nullable=False, comment="open, done, rejected"),
    sa.Column("received_at", UTC_TIME, nullable=False),
    sa.Column("due_at", UTC_TIME, nullable=False, comment="one month after it was received, or three"),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("closed_at", UTC_TIME),
    sa.Column("closed_by", sa.Text, nullable=False),
    sa.Column("result", sa.Text, nullable=False, comment="id of a certificate, purposes withdrawn, or a code of why"),
    sa.Column(
        "extension", sa.Text, nullable=False, server_default="", comment="why it is due two months later; or empty"
    ),
)
