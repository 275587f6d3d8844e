"""Sections about jobs that fail: which failures are tried again, and where those go that failed for good."""

import json
import re
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator

from settings.policy import Section
from settings.units import Whole, Words

_QUEUE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*")  # what Dramatiq accepts
_STATUS = re.compile(r"http:[1-5]([0-9]{2}|xx)", re.IGNORECASE)
_MOST_RULES = 200


class RetrySettings(Section):
    """Beside the lists of S1 (jobs/error_lists.py), and before them: failures that are tried again, and such
    that are not. An entry is an exception's type, `http:429` or `http:5xx`, a code such as ECONNRESET, or a
    piece of the message, in which `*` is anything."""

    retryable: Words = ()
    permanent: Words = ()

    @field_validator("retryable", "permanent")
    @classmethod
    def _can_be_met(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            if not entry.strip(" *"):
                raise ValueError("must not hold an entry that fits every failure")
            if entry.lower().startswith("http:") and not _STATUS.fullmatch(entry):
                raise ValueError('must write an HTTP status as "http:429" or "http:5xx"')
        return entries


class DeadLetterRule(Section):
    """A job that failed for good goes to `to` when all that is given fits it.

    Of several words in one place one is enough, and `*` is anything. `error` is the exception's class or one
    that it derives from, `code` the kind of failure (permanent, exhausted, timeout, expired, deadline,
    retry_for, lost_lease …), `attempts` how often it ran at least; `tenant` [""] means jobs without one.
    """

    to: str
    queue: Words = ()
    actor: Words = ()
    tenant: Words = ()
    error: Words = ()
    code: Words = ()
    attempts: Annotated[Whole, Field(ge=0)] = 0

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: object) -> object:
        if isinstance(data, dict) and (strange := sorted(data.keys() - cls.model_fields.keys())):
            raise ValueError(f"must not have {strange[0]!r}; a rule has {', '.join(cls.model_fields)}")
        return data

    @field_validator("to")
    @classmethod
    def _a_queue(cls, to: str) -> str:
        if not _QUEUE_NAME.fullmatch(to):
            raise ValueError("must name a queue in `to`: a letter, then letters, digits and . _ -")
        return to

    def __str__(self) -> str:
        given = self.model_dump(exclude_defaults=True, exclude={"to"})
        parts = [f"{name} {_told(value)}" for name, value in given.items()]
        return f"{' and '.join(parts) or 'everything'} to {self.to}"


def _rules(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("must be a list of rules, or JSON text in the environment") from None


class DeadLetterSettings(Section):
    """The rules in order: the first that fits wins, and where none does the queue's `dead_letter` holds."""

    rules: Annotated[tuple[DeadLetterRule, ...], BeforeValidator(_rules), Field(max_length=_MOST_RULES)] = ()


def _told(value: object) -> str:
    return " or ".join(value) if isinstance(value, tuple) else str(value)
