"""How a message becomes the payload of a job and back. Sealing and signing will happen here.

Queue, id and actor are in the job's record, so the payload leaves out queue and id. It has its own
codec because Dramatiq's `Encoder` is global to the process and also given things that are no messages.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from dramatiq import Message

from jobs.errors import InvalidPayload, PayloadTooLarge

DEFAULT_MAX_BYTES = 102_400


class UndecodablePayload(Exception):
    """The payload is no message of ours: garbage, or sealed with a key that is not here."""


@dataclass(frozen=True, slots=True)
class Codec:
    """JSON, with the types that pydantic knows (dates, decimals, UUIDs, models) written as it writes them."""

    max_bytes: int = DEFAULT_MAX_BYTES

    def encode(self, message: "Message[Any]") -> bytes:
        """Raises PayloadTooLarge, and InvalidPayload for an argument that has no JSON form."""
        try:
            payload = orjson.dumps(
                [
                    message.actor_name,
                    message.args,
                    message.kwargs,
                    message.options,
                    message.message_timestamp,
                ],
                default=_to_json,
            )
        except TypeError as error:
            raise InvalidPayload(
                f"An argument of {message.actor_name} cannot be written as JSON: {error}"
            ) from None
        if len(payload) > self.max_bytes:
            raise PayloadTooLarge(
                f"The arguments of {message.actor_name} take {len(payload):,} bytes, more than the "
                f"{self.max_bytes:,} allowed; store the data and send its id, or raise payload.max_bytes."
            )
        return payload

    def decode(self, payload: bytes, queue: str, job_id: str) -> "Message[Any]":
        """Raises UndecodablePayload."""
        try:
            actor_name, args, kwargs, options, timestamp = orjson.loads(payload)
            return Message(
                queue_name=queue,
                actor_name=_typed(str, actor_name),
                args=tuple(_typed(list, args)),
                kwargs=_typed(dict, kwargs),
                options=_typed(dict, options),
                message_id=job_id,
                message_timestamp=_typed(int, timestamp),
            )
        except (ValueError, TypeError) as error:
            # The message of the error could quote the payload.
            raise UndecodablePayload(
                f"the payload of job {job_id} is no message ({type(error).__name__})"
            ) from None


def _to_json(value: Any) -> Any:
    convert = _converter()
    try:
        return convert(value)
    except ValueError as error:
        raise TypeError(f"{type(value).__name__} has no JSON form") from error


def _converter() -> Callable[[Any], Any]:
    from pydantic_core import to_jsonable_python

    return to_jsonable_python


def _typed(kind: type[Any], value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}")
    return value
