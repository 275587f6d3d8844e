"""The document of a schedule in SQL. What an actor takes as Secret or PII is in it only encrypted."""

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from actors.sealing import is_private
from jobs.errors import InvalidSchedule
from jobs.schedules import Schedule, from_document, to_document
from jobs.sealing import About

if TYPE_CHECKING:
    from actors.composition import App

SEALED = "sealed_args"
#: The words that say when it fires.
_TIMING = ("cron", "every", "at", "timezone", "exclude", "start", "end", "jitter")


def written(app: "App", schedule: Schedule) -> str:
    """The document as it is stored. Raises KeyMissing when its arguments must be encrypted and cannot be."""
    document = to_document(schedule)
    if document.get("args") and keeps_private(app, schedule.actor):
        plain = orjson.dumps(document.pop("args"))
        sealed = app.sealing.seal.close(plain, _about(document), secret=True)
        document[SEALED] = base64.b64encode(sealed).decode()
    return orjson.dumps(document).decode()


def read(app: "App", text: str) -> Schedule:
    """The schedule of a document. Raises InvalidSchedule, KeyMissing and ForgedMessage."""
    document: dict[str, Any] = orjson.loads(text)
    if SEALED in document:
        sealed = base64.b64decode(document.pop(SEALED))
        document["args"] = orjson.loads(app.sealing.seal.open(sealed, _about(document)).plain)
    return from_document(document)


def keeps_private(app: "App", actor_name: str) -> bool:
    """Whether the arguments of an actor are encrypted wherever they lie."""
    actor = app.broker.actors.get(actor_name)
    if actor is None:
        return False
    secret = app.rules_of(actor.queue_name).encryption
    return is_private(actor) if secret is None else secret


def timing_of(schedule: Schedule) -> str:
    """Tells apart schedules that fire at different times."""
    document = to_document(schedule)
    told = {word: document[word] for word in _TIMING if word in document}
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _about(document: dict[str, Any]) -> About:
    tenant = document.get("tenant_id") or ""
    name = document.get("name")
    if not isinstance(name, str):
        raise InvalidSchedule("A stored schedule has no name.")
    return About("schedule", tenant, str(document.get("actor")), "", name)
