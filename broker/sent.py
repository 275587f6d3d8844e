"""Messages: made fast, and what became of one that was sent."""

import dataclasses
import os
import time
from typing import Any, TypeVar

from dramatiq import Message

from broker.following import following

#: Attribute of a message that met a unique key: the id of the job that is there.
THERE = "job_there"

#: Why a message made no job: one with its id is there; one had its id and has left the store, which remembers
#: it (`id_memory_ms` of the queue), so nothing runs; one holds its unique key.
SAME_ID, REMEMBERED_ID, SAME_KEY = "id", "remembered", "unique"

R = TypeVar("R", covariant=True)
M = TypeVar("M", bound="Message[Any]")


@dataclasses.dataclass(frozen=True)
class SentMessage(Message[R]):
    """What `send()` returns. `message_id` is the id of the job that is there.

    `created` is False when nothing was added; then `reason` is "id" or "unique" when a job with its id or its
    unique key was there before, and "remembered" when the id was used by a job that has left: then there is
    none, and another one needs another id. `replaced` is the id of the job whose place this one took (the
    unique modes debounce and latest).
    """

    created: bool = True
    replaced: str | None = None
    reason: str = ""

    def asdict(self) -> dict[str, Any]:
        """The message without what became of it: a pipeline and a callback make a Message of it."""
        return {name: getattr(self, name) for name in _FIELDS}

    _asdict = asdict


_FIELDS = tuple(field.name for field in dataclasses.fields(Message))


def new_id(actor: str = "") -> str:
    """An id that nobody else has: the milliseconds of now and 80 random bits, as a UUID of version 7 is made.

    Ids that come one after the other lie side by side in the indexes of the history. Dramatiq's own UUID
    takes ten times as long to make.
    """
    proxy = following.proxy
    if proxy is not None:
        return following.new_id(proxy, actor)
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


def make_message(
    kind: type[M],
    queue: str,
    actor: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: dict[str, Any],
    message_id: str | None = None,
) -> M:
    """A message as Dramatiq makes it. A frozen data class sets each field through a call of its own, which
    takes longer than all the rest of this."""
    message: M = object.__new__(kind)
    message.__dict__.update(
        queue_name=queue,
        actor_name=actor,
        args=args,
        kwargs=kwargs,
        options=options,
        message_id=message_id or new_id(actor),
        message_timestamp=time.time_ns() // 1_000_000,
    )
    return message


def as_sent(
    message: "Message[R]",
    message_id: str,
    created: bool = True,
    replaced: str | None = None,
    reason: str = "",
) -> "SentMessage[R]":
    """The message under the id of the job that is there, and what became of it."""
    sent: SentMessage[R] = object.__new__(SentMessage)
    sent.__dict__.update(
        message.__dict__, message_id=message_id, created=created, replaced=replaced, reason=reason
    )
    return sent
