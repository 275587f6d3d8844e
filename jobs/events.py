"""What the readers of the event stream are given beside the event's own numbers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import orjson

from jobs.model import Event


@dataclass(frozen=True, slots=True)
class AttemptDetail:
    """What one attempt leaves for the audit row; empty fields take no room in the stream."""

    worker: str = ""  # name in the registry
    user_id: str = ""
    error_type: str = ""
    error_code: str = ""  # retryable, permanent, exhausted, timeout, lost_lease, …; see middleware.codes
    error_message: str = ""  # redacted
    stack: str = ""  # file, line and function of each frame; no values
    fingerprint: str = ""  # groups failures of one cause
    input_digest: str = ""  # keyed digest of the arguments, never the arguments
    reason: str = ""  # why it was dead-lettered, in one sentence
    inputs: str = ""  # the arguments, sealed, as base64; empty where nothing seals: they are never clear
    trace_id: str = ""
    cost: str = ""  # a number, as the actor reported it with `middleware.audit.cost`
    cost_unit: str = ""

    def to_bytes(self) -> bytes:
        return orjson.dumps({key: value for key, value in asdict(self).items() if value})

    @classmethod
    def from_bytes(cls, data: bytes) -> "AttemptDetail":
        """Read a detail of any release: unknown keys are passed over."""
        fields: dict[str, Any] = orjson.loads(data) if data else {}
        return cls(**{key: str(fields[key]) for key in cls.__slots__ if key in fields})


class EventSink(Protocol):
    """Where a reader puts events. Writing the same event twice leaves one."""

    def write(self, events: Sequence[Event]) -> None:
        """Store all of them or raise; the caller tries again with the same events."""
