"""Understand: turn events into orders, products, customers and sessions, and into features as of a moment."""

READS = ("events",)
WRITES = (
    "identities",
    "identity_changes",
    "traits",
    "consents",
    "products",
    "order_lines",
    "orders",
    "interactions",
    "referrals",
    "sessions",
    "customers",
    "cleaning",
    "moments",
    "features",
    "segments",
    "personas",
)
