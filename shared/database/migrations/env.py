"""Alembic's entry: runs on the connection that `shared.database.schema` hands over."""

from alembic import context

from shared.database.tables import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables,
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
