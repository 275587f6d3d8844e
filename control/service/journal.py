"""What operators did, one line for each action that took effect."""

import logging

import orjson

log = logging.getLogger("callboard.operators")


def record(by: str, action: str, **facts: object) -> None:
    """Write down who did what to which thing. The one place where an audit of operators has to be added.

    Facts are names and numbers, never a payload; they are written as JSON, so that none breaks the line.
    """
    told = " ".join(f"{name}={_fact(value)}" for name, value in facts.items() if value is not None)
    log.info("%s %s %s", _fact(by), action, told)


def _fact(value: object) -> str:
    return orjson.dumps(value, default=str).decode()
