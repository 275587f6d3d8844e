"""What is written down of an exception: never a value of the job's arguments."""

import hashlib
import re
import sys
import traceback
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import FrameType
from typing import Any, TypeVar

import orjson

from jobs.hiding import HIDDEN, WINDOW, Arguments, as_arguments

Worded = TypeVar("Worded", bound=BaseException)
MAX_MESSAGE = 500
MAX_FRAMES = 20
#: So many of the innermost functions tell one cause from another.
_TELLING = 5
#: So much of an exception's text is looked at; hiding values makes it shorter.
_READ = 4 * MAX_MESSAGE
_OURS = "worded_by_callboard"
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

    def to_record(self, code: str = "") -> bytes:
        """The form kept with the job. `code` is the kind of failure, in a word."""
        error: dict[str, Any] = {
            "type": self.type,
            "message": self.message,
            "stack": list(self.stack),
            "fingerprint": self.fingerprint,
        }
        if code:
            error["code"] = code
        return orjson.dumps({"error": error})


def describe(exception: BaseException, hide: Collection[object] | Arguments = ()) -> Failure:
    """Write down an exception. `hide` are the job's arguments: what its message, or the name of its type,
    quotes of them is taken out.

    Only refusals that are `worded_without_values` stay as they are.
    """
    hide = as_arguments(hide)
    kind = type_name(exception, hide)
    message = _text(exception) or kind
    if not is_worded_without_values(exception):
        # A few characters more, so that a value across the cut is still known for what it is.
        message = redact(hide.hide(message[: _READ + WINDOW], cut=_READ))
    frames = traceback.extract_tb(exception.__traceback__)[-MAX_FRAMES:]
    stack = tuple(f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
    return Failure(kind, message[:MAX_MESSAGE], stack, _fingerprint(exception, kind))


def type_name(exception: BaseException, hide: Collection[object] | Arguments = ()) -> str:
    """The name of an exception's class. Of one that was made at run time, whose name may quote an argument,
    it is that of the nearest class above it that does not."""
    arguments = as_arguments(hide)
    for kind in type(exception).__mro__:
        name = kind.__name__
        if _is_declared(kind) or arguments.hide(name) == name:
            return name
    return HIDDEN


def fingerprint_of(error: Mapping[str, Any]) -> str:
    """What groups the failures of one cause, of an error in a record. The store's own have none: those are
    grouped by their type and words."""
    known = error.get("fingerprint")
    if isinstance(known, str) and known:
        return known
    words = _CHANGING.sub("", f"{error.get('type')}\n{error.get('message')}")
    return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()[:16]


def worded_without_values(error: Worded) -> Worded:
    """Mark a refusal whose words are ours and name fields only: its numbers are limits, no arguments."""
    setattr(error, _OURS, True)
    return error


def is_worded_without_values(error: BaseException) -> bool:
    return bool(getattr(error, _OURS, False))


def redact(text: str) -> str:
    """Take mail addresses, long numbers and long quotations out of a text."""
    return _LONG_NUMBER.sub("[number]", _ADDRESS.sub("[address]", _QUOTED.sub("[text]", text)))


def _text(exception: BaseException) -> str:
    # A failure that cannot be written down would leave its job unsettled.
    try:
        text = str(exception)
    except Exception:  # noqa: BLE001
        text = ""
    return text.encode("utf-8", "replace").decode()


def _is_declared(kind: type) -> bool:
    """Whether a class was written down in a module or a function, where nobody knew the arguments."""
    if "<locals>" in kind.__qualname__:
        return True
    at: Any = sys.modules.get(str(kind.__module__))
    for name in kind.__qualname__.split("."):
        at = getattr(at, "__dict__", {}).get(name)
    return at is kind


def _fingerprint(exception: BaseException, kind: str) -> str:
    # Modules and functions, no folders and lines: a release may lie in a folder of its own, and move code.
    innermost: deque[FrameType] = deque(maxlen=_TELLING)
    trace = exception.__traceback__
    while trace is not None:
        innermost.append(trace.tb_frame)
        trace = trace.tb_next
    functions = [_CHANGING.sub("", _function(frame)) for frame in innermost]
    parts = [type(exception).__module__, kind, *functions]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def _function(frame: FrameType) -> str:
    code = frame.f_code
    module = frame.f_globals.get("__name__") or PurePath(code.co_filename).name
    return f"{module}:{code.co_qualname}"
