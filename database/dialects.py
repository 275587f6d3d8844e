"""The one statement that both databases spell alike but SQLAlchemy keeps apart: INSERT … ON CONFLICT."""

from sqlalchemy import Engine
from sqlalchemy.dialects import postgresql, sqlite

from database.models import Base


def insert_into(engine: Engine, model: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT for the engine's database, with `on_conflict_do_update` and `on_conflict_do_nothing`."""
    if engine.dialect.name == "postgresql":
        return postgresql.insert(model)
    return sqlite.insert(model)
