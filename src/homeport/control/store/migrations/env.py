"""Alembic runs this file: it migrates the connection that `store.database` hands over."""

from alembic import context

from homeport.control.store.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
