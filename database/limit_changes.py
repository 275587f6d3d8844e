"""Changes of limits, kept: the job store follows these rows, and is filled from them when it is new.

They are in the table of adjustments, in scopes of their own: `limit` for all tenants, `limit of tenant`
for one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
from sqlalchemy import Engine, delete, select

from database.dialects import insert_into
from database.engine import read_session, write_session
from database.models import AdjustedRule

FOR_ALL, OF_TENANT = "limit", "limit of tenant"


@dataclass(frozen=True, slots=True)
class LimitChange:
    """One changed number; `tenant` None is for all, `at` is UTC."""

    rule: str
    tenant: str | None
    name: str
    value: int
    by: str
    at: datetime


class LimitChanges:
    """All verbs raise DatabaseUnavailable, and DatabaseOutdated before the database is migrated."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def write(self, rule: str, tenant: str | None, changes: Mapping[str, int | None], by: str) -> None:
        """Keep changed numbers in one step; None lets one follow the settings again."""
        key = {"scope": FOR_ALL if tenant is None else OF_TENANT, "queue": rule, "lane": tenant or ""}
        gone = [name for name, value in changes.items() if value is None]
        now = datetime.now(UTC)
        with write_session(self._engine) as session:
            for name in sorted(name for name in changes if name not in gone):
                values = {"value": orjson.dumps(changes[name]).decode(), "changed_by": by, "changed_at": now}
                insert = insert_into(self._engine, AdjustedRule).values(**key, name=name, **values)
                session.execute(
                    insert.on_conflict_do_update(
                        index_elements=["scope", "queue", "lane", "name"], set_=values
                    )
                )
            if gone:
                of_rule = [getattr(AdjustedRule, column) == value for column, value in key.items()]
                session.execute(delete(AdjustedRule).where(*of_rule, AdjustedRule.name.in_(gone)))

    def read(self) -> list[LimitChange]:
        """What is changed now."""
        wanted = (
            select(AdjustedRule)
            .where(AdjustedRule.scope.in_((FOR_ALL, OF_TENANT)))
            .order_by(AdjustedRule.queue, AdjustedRule.scope, AdjustedRule.lane, AdjustedRule.name)
        )
        with read_session(self._engine) as session:
            return [
                LimitChange(
                    row.queue,
                    None if row.scope == FOR_ALL else row.lane,
                    row.name,
                    orjson.loads(row.value),
                    row.changed_by,
                    row.changed_at,
                )
                for row in session.scalars(wanted)
            ]
