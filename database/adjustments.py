"""Runtime changes of rules, kept: the job store follows this table, and is filled from it when it is new.

A rule has one row, with who changed it last and when; a rule that follows the settings again has none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Engine, delete, select

from database.dialects import insert_into
from database.engine import read_session, write_session
from database.models import AdjustedRule
from jobs.model import Scope
from jobs.rules import Rate

#: Limits that count while jobs run are in the same table, see `limit_changes`.
SCOPES = ("queue", "lane")


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One changed rule; `value` is as `JobStore.adjust` takes it, `at` is UTC."""

    scope: Scope
    name: str
    value: object
    by: str
    at: datetime


class Adjustments:
    """All verbs raise DatabaseUnavailable, and DatabaseOutdated before the database is migrated."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def write(self, scope: Scope, changes: Mapping[str, object], by: str) -> None:
        """Keep changed rules of a queue or lane in one step; None lets a rule follow the settings again."""
        kept = [name for name, value in changes.items() if value is not None]
        gone = [name for name, value in changes.items() if value is None]
        now = datetime.now(UTC)
        with write_session(self._engine) as session:
            # One order for all writers, so that two of them cannot deadlock.
            for name in sorted(kept):
                values = {"value": _as_json(changes[name]), "changed_by": by, "changed_at": now}
                insert = insert_into(self._engine, AdjustedRule).values(**_key(scope), name=name, **values)
                session.execute(
                    insert.on_conflict_do_update(
                        index_elements=["scope", "queue", "lane", "name"], set_=values
                    )
                )
            if gone:
                session.execute(delete(AdjustedRule).where(*_is(scope), AdjustedRule.name.in_(gone)))

    def read(self, scope: Scope | None = None) -> list[Adjustment]:
        """What is changed now, of one queue or lane or of all."""
        wanted = select(AdjustedRule).order_by(
            AdjustedRule.queue, AdjustedRule.scope.desc(), AdjustedRule.lane, AdjustedRule.name
        )
        wanted = wanted.where(AdjustedRule.scope.in_(SCOPES))
        if scope is not None:
            wanted = wanted.where(*_is(scope))
        with read_session(self._engine) as session:
            return [_adjustment(row) for row in session.scalars(wanted)]

    def forget(self, queue: str) -> None:
        """Let a queue and all its lanes follow the settings again."""
        with write_session(self._engine) as session:
            session.execute(
                delete(AdjustedRule).where(AdjustedRule.queue == queue, AdjustedRule.scope.in_(SCOPES))
            )


def _key(scope: Scope) -> dict[str, str]:
    return {
        "scope": "queue" if scope.lane is None else "lane",
        "queue": scope.queue,
        "lane": scope.lane or "",
    }


def _is(scope: Scope) -> list[ColumnElement[bool]]:
    return [getattr(AdjustedRule, column) == value for column, value in _key(scope).items()]


def _adjustment(row: AdjustedRule) -> Adjustment:
    scope = Scope(row.queue, None if row.scope == "queue" else row.lane)
    return Adjustment(scope, row.name, _from_json(row.value), row.changed_by, row.changed_at)


def _as_json(value: object) -> str:
    return orjson.dumps(value._asdict() if isinstance(value, Rate) else value).decode()


def _from_json(text: str) -> Any:
    value = orjson.loads(text)
    return Rate(**value) if isinstance(value, dict) else value
