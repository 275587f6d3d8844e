"""What operators did: a row of the audit for each act, and a line in the log for what took effect.

The rule: the row that says that an act begins is stored before anything is touched, so an act that cannot be
written down is not done. When the database goes away during the act, the act stands, its row says no end, and
the log says why.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from jobs.errors import CallboardError

if TYPE_CHECKING:
    from actors.composition import App
    from database.operator_actions import Act, OperatorActions

log = logging.getLogger("callboard.operators")


@dataclass(slots=True)
class Deed:
    """What is told of an act while it is done: to how many things it was, and a few words."""

    count: int | None = None
    result: str | None = None


@contextmanager
def acting(
    app: "App",
    by: str,
    action: str,
    *,
    target: str | None = None,
    tenant: str | None = None,
    reason: str | None = None,
    parameters: Mapping[str, object] | None = None,
) -> Iterator[Deed]:
    """Around what an operator does; the act is done inside. `parameters` are names and numbers, no payload.

    Raises DatabaseUnavailable or DatabaseOutdated before the act when its row cannot be stored.
    """
    from database.operator_actions import Act, OperatorActions

    actions = OperatorActions(app.engine(), app.chain_keys())
    told = {name: value for name, value in (parameters or {}).items() if value is not None}
    act = Act(by, action, target, tenant or None, told, reason or None)
    action_id, deed, failed = _begin(app, actions, act), Deed(), True
    try:
        yield deed
        failed = False
    except GeneratorExit:
        failed, deed.result = False, "stopped"  # by who did it, between two chunks
        raise
    except BaseException as error:
        # Only our own errors are worded without values.
        deed.result = str(error) if isinstance(error, CallboardError) else type(error).__name__
        raise
    finally:
        try:
            actions.end(action_id, act, failed=failed, count=deed.count, result=deed.result)
        except CallboardError as error:
            log.error("%s %s was done, but how it ended is not in the audit: %s", _fact(by), action, error)


def record(by: str, action: str, **facts: object) -> None:
    """Write a line into the log: who did what to which thing.

    Facts are names and numbers, never a payload; they are written as JSON, so that none breaks the line.
    """
    told = " ".join(f"{name}={_fact(value)}" for name, value in facts.items() if value is not None)
    log.info("%s %s %s", _fact(by), action, told)


def _begin(app: "App", actions: "OperatorActions", act: "Act") -> str:
    from database.errors import DatabaseOutdated
    from database.migrations import migrate

    try:
        return actions.begin(act)
    except DatabaseOutdated:
        engine = app.engine()
        if engine.dialect.name != "sqlite":
            raise
        migrate(engine)  # a file of our own: whoever comes first makes its tables
        return actions.begin(act)


def _fact(value: object) -> str:
    return orjson.dumps(value, default=str).decode()
