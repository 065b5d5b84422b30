"""Migrations of the store: Alembic's entry is `env`, each step is a file of `versions`."""
