"""How a message becomes the payload of a job and back. Sealing and signing will happen here.

Queue, actor and id are in the job's record, so the payload leaves them out. It has its own codec
because Dramatiq's `Encoder` is global to the process and also given things that are no messages.
"""

from dataclasses import dataclass
from typing import Any

import orjson
from dramatiq import Message

from broker.json_form import json_form
from broker.proxy import JobProxy
from jobs.errors import InvalidPayload, PayloadTooLarge
from jobs.model import FetchedJob, Job

DEFAULT_MAX_BYTES = 102_400

_Parts = tuple[tuple[Any, ...], dict[str, Any], dict[str, Any], int]


class UndecodablePayload(Exception):
    """The payload is no message of ours: garbage, or sealed with a key that is not here."""


@dataclass(frozen=True, slots=True)
class Codec:
    """JSON, with the types that pydantic knows (dates, decimals, UUIDs, models) written as it writes them."""

    max_bytes: int = DEFAULT_MAX_BYTES

    def encode(self, message: "Message[Any]") -> bytes:
        """Raises PayloadTooLarge, and InvalidPayload for an argument that has no JSON form."""
        parts = [message.args, message.kwargs, message.options, message.message_timestamp]
        try:
            payload = orjson.dumps(parts, default=json_form)
        except TypeError as error:
            raise InvalidPayload(f"{message.actor_name}: an argument has no JSON form: {error}") from None
        if len(payload) > self.max_bytes:
            raise PayloadTooLarge(
                f"The arguments of {message.actor_name} take {len(payload):,} bytes, more than the "
                f"{self.max_bytes:,} allowed; store the data and send its id, or raise payload.max_bytes."
            )
        return payload

    def proxy(self, job: FetchedJob) -> JobProxy:
        """A fetched job as workers take it. Raises UndecodablePayload."""
        args, kwargs, options, timestamp = _parts(job.payload, job.id)
        options.pop("eta", None)  # Dramatiq would hold such a message back in this process's memory
        return JobProxy(job, args, kwargs, options, timestamp)

    def message(self, job: Job) -> "Message[Any]":
        """A stored job as producers made it. Raises UndecodablePayload."""
        args, kwargs, options, timestamp = _parts(job.payload, job.id)
        return Message(job.queue, job.actor, args, kwargs, options, job.id, timestamp)


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
