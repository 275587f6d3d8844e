"""How a message becomes the payload of a job and back: written as JSON, then signed or encrypted.

Queue, actor and id are in the job's record, so the payload leaves them out. It has its own codec
because Dramatiq's `Encoder` is global to the process and also given things that are no messages.
"""

from collections import Counter
from typing import Any

import orjson
from dramatiq import Message

from broker.json_form import CLEAR, ClearForm, IsMarked, json_form, met_secret
from broker.proxy import JobProxy
from jobs.errors import ForgedMessage, InvalidPayload, KeyMissing, PayloadTooLarge
from jobs.model import FetchedJob, Job
from jobs.sealing import About, Kind, Opened, Seal

DEFAULT_MAX_BYTES = 102_400
#: How far the clock of a sender and the store's may be apart, in ms.
DEFAULT_TOLERANCE_MS = 600_000

NoteKind = Kind
#: The first byte of what is encrypted. What was only signed, or is clear, begins with another.
ENCRYPTED = b"\x02"

_Parts = tuple[tuple[Any, ...], dict[str, Any], dict[str, Any], int]


class UndecodablePayload(Exception):
    """The payload is no message of ours: garbage, forged, or sealed with a key that is not here."""


class Codec:
    """JSON, with the types that pydantic knows (dates, decimals, UUIDs, models) written as it writes them.

    Without a `seal`, in tests in memory, nothing is signed or encrypted. A payload that was sealed more than
    `tolerance_ms` before or after its job was made is taken for one that is sent again. `is_marked` says
    whether objects of a class hold what is marked Secret or PII.
    """

    def __init__(
        self,
        max_bytes: int = DEFAULT_MAX_BYTES,
        seal: Seal | None = None,
        tolerance_ms: int = DEFAULT_TOLERANCE_MS,
        is_marked: IsMarked = lambda kind: False,
    ) -> None:
        self.max_bytes = max_bytes
        self._clear_form = ClearForm(is_marked)
        self.seal = seal
        self.tolerance_ms = tolerance_ms
        #: How many messages did not run here, by queue and reason (forged, key_missing).
        self.refused: Counter[tuple[str, str]] = Counter()

    def encode(
        self, message: "Message[Any]", tenant: str = "", *, secret: bool = False, never_secret: bool = False
    ) -> bytes:
        """The payload of a job; `secret`: encrypted, not only signed, as is one in which a secret is met.

        Raises PayloadTooLarge, InvalidPayload for an argument that has no JSON form, or that is secret where
        the queue is `never_secret`, and KeyMissing.
        """
        parts = [message.args, message.kwargs, message.options, message.message_timestamp]
        try:
            if secret:
                payload = orjson.dumps(parts, json_form)
            else:
                payload = orjson.dumps(parts, self._clear_form, CLEAR)
        except TypeError as error:
            if not met_secret(error):
                raise InvalidPayload(f"{message.actor_name}: an argument has no JSON form: {error}") from None
            if never_secret:
                raise InvalidPayload(
                    f"{message.actor_name}: an argument is, or holds, what is Secret or PII, "
                    f"but queues.{message.queue_name}.encryption is false: remove the setting, or the mark."
                ) from None
        else:
            return self._closed(message, payload, tenant, secret)
        return self.encode(message, tenant, secret=True)

    def holds_secret(self, message: "Message[Any]") -> bool:
        """Whether a message is encrypted for what is in it."""
        try:
            orjson.dumps([message.args, message.kwargs, message.options], self._clear_form, CLEAR)
        except TypeError as error:
            return met_secret(error)
        return False

    def _closed(self, message: "Message[Any]", payload: bytes, tenant: str, secret: bool) -> bytes:
        if len(payload) > self.max_bytes:
            raise PayloadTooLarge(
                f"The arguments of {message.actor_name} take {len(payload):,} bytes, more than the "
                f"{self.max_bytes:,} allowed; store the data and send its id, or raise payload.max_bytes."
            )
        if self.seal is None:
            return payload
        about = About("payload", tenant, message.actor_name, message.queue_name, message.message_id)
        return self.seal.close(payload, about, secret=secret)

    def proxy(self, job: FetchedJob) -> JobProxy:
        """A fetched job as workers take it. Raises ForgedMessage, KeyMissing, UndecodablePayload."""
        payload, secret = job.payload, False
        if self.seal is not None:
            # Called where the jobs of a whole process wait for it.
            payload, sealed_at, secret, _ = self.seal.open(payload, _about(job), in_a_hurry=True)
            self._check_time(sealed_at, job.created_at)
        args, kwargs, options, timestamp = _parts(payload, job.id)
        options.pop("eta", None)  # Dramatiq would hold such a message back in this process's memory
        proxy = JobProxy(job, args, kwargs, options, timestamp)
        if secret:
            proxy.secret = True
        return proxy

    def message(self, job: Job) -> "Message[Any]":
        """A stored job as producers made it. Raises UndecodablePayload."""
        args, kwargs, options, timestamp = _parts(self.opened(job).plain, job.id)
        return Message(job.queue, job.actor, args, kwargs, options, job.id, timestamp)

    def opened(self, job: Job) -> Opened:
        """What is in a stored job's payload. Raises UndecodablePayload, caused by the error that says why."""
        if self.seal is None:
            return Opened(job.payload, job.created_at, False, 0)
        try:
            return self.seal.open(job.payload, _about(job))
        except (ForgedMessage, KeyMissing) as error:
            raise UndecodablePayload(f"the payload of job {job.id} cannot be opened: {error}") from error

    def check(self, job: Job) -> None:
        """Raise ForgedMessage unless a stored job's payload was made for it, and KeyMissing."""
        if self.seal is not None:
            opened = self.seal.open(job.payload, _about(job))
            self._check_time(opened.sealed_at, job.created_at)

    def resealed(self, job: Job, plain: bytes | None = None) -> bytes:
        """A stored job's payload closed anew with the current key; `plain` is put in its place.

        The time of its seal stays. Raises UndecodablePayload and KeyMissing.
        """
        there = self.opened(job)
        text = there.plain if plain is None else plain
        if self.seal is None:
            return text
        return self.seal.close(text, _about(job), secret=there.secret, sealed_at=there.sealed_at)

    def _check_time(self, sealed_at: int, created_at: int) -> None:
        if not -self.tolerance_ms <= created_at - sealed_at <= self.tolerance_ms:
            raise ForgedMessage("it was sealed long before or after its job was made: it was sent again")

    # Notes: what a job leaves beside its payload (result, progress, log, steps)

    def close_note(self, kind: NoteKind, job: FetchedJob | Job, value: Any) -> bytes:
        """A value as JSON, encrypted where the job's payload is. Raises InvalidPayload and KeyMissing."""
        clear = not is_secret(job)
        try:
            if clear and self.seal is not None:
                return orjson.dumps(value, self._clear_form, CLEAR)
            plain = orjson.dumps(value, json_form)
        except TypeError as error:
            if met_secret(error):
                raise InvalidPayload(
                    f"a {kind} of {job.actor} holds a secret, and its job is not encrypted: mark a parameter "
                    f"of {job.actor}, or set encryption = true in [queues.{job.queue}]."
                ) from None
            raise InvalidPayload(f"a {kind} of {job.actor} has no JSON form: {error}") from None
        if clear or self.seal is None:
            return plain
        return self.seal.close(plain, _about(job, kind), secret=True)

    def stored_name(self, job: FetchedJob | Job, name: str) -> str:
        """A name under which a job keeps something: of an encrypted job a digest. Raises KeyMissing."""
        if self.seal is None or not is_secret(job):
            return name
        return self.seal.name(name, _about(job, "step"))

    def open_note(self, kind: NoteKind, job: FetchedJob | Job, stored: bytes) -> Any:
        """The value of a note. Raises KeyMissing, and ForgedMessage for what is not, or not encrypted."""
        if self.seal is not None and is_secret(job):
            if not stored.startswith(ENCRYPTED):
                raise ForgedMessage(f"a {kind} of an encrypted job is in clear: somebody else wrote it")
            stored = self.seal.open(stored, _about(job, kind)).plain
        try:
            return orjson.loads(stored)
        except ValueError:
            raise ForgedMessage(f"a {kind} of job {job.id} is no note of ours") from None


def is_secret(job: FetchedJob | Job) -> bool:
    """Whether a job's payload is encrypted."""
    return job.payload.startswith(ENCRYPTED)


def _about(job: FetchedJob | Job, kind: Kind = "payload") -> About:
    return About(kind, job.lane, job.actor, job.queue, job.id)


def _parts(payload: bytes, job_id: str) -> _Parts:
    try:
        args, kwargs, options, timestamp = orjson.loads(payload)
    except (ValueError, TypeError) as error:
        # The error's own words could quote the payload.
        raise UndecodablePayload(
            f"the payload of job {job_id} is no message ({type(error).__name__})"
        ) from None
    kinds = (type(args), type(kwargs), type(options), type(timestamp))
    if kinds != (list, dict, dict, int):
        raise UndecodablePayload(f"the payload of job {job_id} is no message (wrong parts)")
    return tuple(args), kwargs, options, timestamp
