"""Around what somebody or something does to the installation: a link of the audit's chain before and after.

The link that says that an act begins is stored before anything is touched, so an act that cannot be written
down is not done. When the database goes away during the act, the act stands, its row says no end, and the
log says why.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
from sqlalchemy import Engine

from database.chain import ChainKeys
from database.errors import DatabaseOutdated
from database.operator_actions import Act, OperatorActions
from jobs.deeds import Deed
from jobs.errors import CallboardError

log = logging.getLogger("callboard.operators")


@contextmanager
def acting(engine: Engine, keys: ChainKeys, act: Act) -> Iterator[Deed]:
    """The act is done inside. Raises DatabaseUnavailable or DatabaseOutdated before it when its row cannot be
    stored."""
    actions = OperatorActions(engine, keys)
    action_id, deed, failed = _begin(engine, actions, act), Deed(), True
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
            who = orjson.dumps(act.operator).decode()
            log.error("%s %s was done, but how it ended is not in the audit: %s", who, act.action, error)


def _begin(engine: Engine, actions: OperatorActions, act: Act) -> str:
    from database.migrations import migrate

    try:
        return actions.begin(act)
    except DatabaseOutdated:
        if engine.dialect.name != "sqlite":
            raise
        migrate(engine)  # a file of our own: whoever comes first makes its tables
        return actions.begin(act)
