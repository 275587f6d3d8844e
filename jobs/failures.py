"""What is written down of an exception: never a value of the job's arguments."""

import hashlib
import re
import traceback
from dataclasses import dataclass
from typing import Any

import orjson

from jobs.errors import CallboardError, PermanentError, RetryAfter

MAX_MESSAGE = 500
MAX_FRAMES = 20
_LONG_NUMBER = re.compile(r"\d{6,}")
_ADDRESS = re.compile(r"[^\s@<>'\"]+@[^\s@<>'\"]+\.\w+")
_QUOTED = re.compile(r"'[^']{40,}'|\"[^\"]{40,}\"")
_CHANGING = re.compile(r"0x[0-9a-f]+|\d+")


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception for the record and the audit row. `stack` has file, line and function of each frame."""

    type: str
    message: str
    stack: tuple[str, ...]
    fingerprint: str

    def to_record(self) -> bytes:
        """The form kept with the job."""
        error: dict[str, Any] = {"type": self.type, "message": self.message, "stack": list(self.stack)}
        return orjson.dumps({"error": error})


def describe(exception: BaseException) -> Failure:
    """Write down an exception. Our own errors are worded without values; others are redacted."""
    message = _text(exception)[: MAX_MESSAGE * 2]
    # These two are raised by actors, whose words may hold anything.
    if not isinstance(exception, CallboardError) or isinstance(exception, PermanentError | RetryAfter):
        message = redact(message)
    frames = traceback.extract_tb(exception.__traceback__)[-MAX_FRAMES:]
    stack = tuple(f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
    return Failure(type(exception).__name__, message[:MAX_MESSAGE], stack, _fingerprint(exception, stack))


def redact(text: str) -> str:
    """Take mail addresses, long numbers and long quotations out of a text."""
    return _LONG_NUMBER.sub("[number]", _ADDRESS.sub("[address]", _QUOTED.sub("[text]", text)))


def _text(exception: BaseException) -> str:
    # A failure that cannot be written down would leave its job unsettled.
    try:
        text = str(exception)
    except Exception:  # noqa: BLE001
        text = ""
    return (text or type(exception).__name__).encode("utf-8", "replace").decode()


def _fingerprint(exception: BaseException, stack: tuple[str, ...]) -> str:
    # Functions without line numbers: a release that moves code keeps the group together.
    functions = [_CHANGING.sub("", frame) for frame in stack[-5:]]
    parts = [type(exception).__module__, type(exception).__name__, *functions]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
