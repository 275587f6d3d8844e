"""What operators did: a row of the audit for each act (`database.acts`), and a line in the log for what took
effect."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import orjson

from jobs.deeds import Deed

if TYPE_CHECKING:
    from actors.composition import App

__all__ = ["Deed", "acting", "record"]

log = logging.getLogger("callboard.operators")


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
    from database import acts
    from database.operator_actions import Act

    told = {name: value for name, value in (parameters or {}).items() if value is not None}
    act = Act(by, action, target, tenant or None, told, reason or None)
    with acts.acting(app.engine(), app.chain_keys(), act) as deed:
        yield deed


def record(by: str, action: str, **facts: object) -> None:
    """Write a line into the log: who did what to which thing.

    Facts are names and numbers, never a payload; they are written as JSON, so that none breaks the line.
    """
    told = " ".join(f"{name}={_fact(value)}" for name, value in facts.items() if value is not None)
    log.info("%s %s %s", _fact(by), action, told)


def _fact(value: object) -> str:
    return orjson.dumps(value, default=str).decode()
