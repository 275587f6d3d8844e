"""Run by Alembic: takes the connection, already in a transaction, that `migrate` hands over."""

from alembic import context
from sqlalchemy import Connection

from database.models import Base

_connection: Connection = context.config.attributes["connection"]

context.configure(
    connection=_connection,
    target_metadata=Base.metadata,
    render_as_batch=_connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
