"""The operational store: rows that need transactions, SQLite in the workspace or PostgreSQL by URL.

`store` opens it and declares most tables, the rooms of storage the others, all of them in `store_metadata`.
`statements` are in the dialect of a connection; `declared_store` is the part that a stage sees; `store_migrations`
knows the newest layout.
SQLite: `embedded_store` encrypts it page by page, `commit_bound` notices that its last commits are lost.
"""
