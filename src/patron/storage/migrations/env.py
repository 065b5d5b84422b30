"""Alembic's entry: upgrade through the connection that the store passes in."""

from alembic import context

from patron.storage.store.store import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
