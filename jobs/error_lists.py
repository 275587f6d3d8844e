"""Which failures another attempt would mend, by lists of what an exception says of itself (S1 7.5).

An entry is one of: a type's name (`ConnectionResetError`, `smtplib.SMTPAuthenticationError`), an HTTP status
(`http:429`, `http:5xx`), a code in capitals (`ECONNRESET`, or the text of an exception's `code`), or a piece
of the message (`Rate limit exceeded`, in any case; `*` stands for anything).
"""

import errno
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

#: What S1 lists, and what says the same in another protocol. Who answers 501 or 505 will never do it.
RETRYABLE = (
    *("ConnectionError", "TimeoutError", "ECONNRESET", "ETIMEDOUT", "ECONNREFUSED", "ECONNABORTED"),
    *("EPIPE", "EHOSTUNREACH", "ENETUNREACH", "ENETDOWN", "EAGAIN", "RATE_LIMIT"),
    *("http:408", "http:425", "http:429", "http:500", "http:502", "http:503", "http:504"),
    *("Rate limit exceeded", "Service temporarily unavailable"),
)
PERMANENT = (
    *("NotImplementedError", "PERMANENT_ERROR"),
    *("http:400", "http:401", "http:403", "http:404", "http:405", "http:410", "http:413", "http:415"),
    *("http:422", "http:501", "http:505"),
    *("Authentication failed", "Resource not found", "Invalid configuration"),
)
STATUS = re.compile(r"http:([1-5])([0-9]{2}|xx)", re.IGNORECASE)
_CODE = re.compile(r"[A-Z][A-Z0-9_]+")
_TYPE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
#: So much of a message is looked at.
_READ = 2_000
_STATUS_NAMES = ("status_code", "status", "http_status", "code")


@dataclass(frozen=True, slots=True)
class ErrorList:
    """One list, parted by kind of entry."""

    types: frozenset[str]
    statuses: frozenset[int]
    codes: frozenset[str]
    texts: re.Pattern[str] | None

    @classmethod
    def of(cls, entries: Iterable[str]) -> "ErrorList":
        types, statuses, codes, texts = set[str](), set[int](), set[str](), list[str]()
        for entry in entries:
            if found := STATUS.fullmatch(entry):
                hundreds = int(found[1]) * 100
                end = found[2].lower()
                statuses.update(range(hundreds, hundreds + 100) if end == "xx" else [hundreds + int(end)])
            elif _CODE.fullmatch(entry):
                codes.add(entry)
            elif _TYPE.fullmatch(entry):
                types.add(entry)
            else:
                texts.append(".*".join(re.escape(part) for part in entry.split("*")))
        pattern = re.compile("|".join(texts), re.IGNORECASE | re.DOTALL) if texts else None
        return cls(frozenset(types), frozenset(statuses), frozenset(codes), pattern)


class ErrorLists:
    """The lists of the settings, which come first, over those of this file."""

    def __init__(self, retryable: Iterable[str] = (), permanent: Iterable[str] = ()) -> None:
        own = ErrorList.of(retryable), ErrorList.of(permanent)
        self._pairs = (own, (ErrorList.of(RETRYABLE), ErrorList.of(PERMANENT)))

    def helps(self, exception: BaseException) -> bool | None:
        """Whether another attempt may help; None where no list knows the failure.

        What is surer counts first: the settings before the house, in each the type (the nearest class), then
        status, code and words; where both lists fit, it is tried again.
        """
        for again, never in self._pairs:
            for name in _types(type(exception)):  # type: ignore[arg-type]  # a class has a hash
                if name in again.types or name in never.types:
                    return name in again.types
            if (status := status_of(exception)) in again.statuses or status in never.statuses:
                return status in again.statuses
            codes = _codes(exception)
            if codes & again.codes or codes & never.codes:
                return bool(codes & again.codes)
            if again.texts is not None or never.texts is not None:
                text = _text(exception)
                if again.texts is not None and again.texts.search(text):
                    return True
                if never.texts is not None and never.texts.search(text):
                    return False
        return None


def status_of(exception: BaseException) -> int | None:
    """The HTTP status that an exception carries, itself or in its response; None without one."""
    for where in (exception, getattr(exception, "response", None), getattr(exception, "resp", None)):
        for name in _STATUS_NAMES if where is not None else ():
            status = getattr(where, name, None)
            if isinstance(status, int) and not isinstance(status, bool) and 100 <= status < 600:
                return int(status)
    return None


@lru_cache(maxsize=1_000)
def _types(kind: type) -> tuple[str, ...]:
    """The names of a class and of those it derives from, the nearest first."""
    return tuple(_names(kind))


def _names(kind: type) -> Iterator[str]:
    for one in kind.__mro__:
        yield one.__name__
        yield f"{one.__module__}.{one.__qualname__}"


def _codes(exception: BaseException) -> frozenset[str]:
    number, code = getattr(exception, "errno", None), getattr(exception, "code", None)
    found = {errno.errorcode.get(number, "")} if isinstance(number, int) else set()
    if isinstance(code, str):
        found.add(code)
    # A client of another language's service passes its code on in words: "read ECONNRESET".
    found.update(word for word in re.findall(r"\bE[A-Z]{3,}\b", _text(exception)))
    return frozenset(found)


def _text(exception: BaseException) -> str:
    try:
        return str(exception)[:_READ]
    except Exception:  # noqa: BLE001  an exception that cannot be written is still a failure
        return ""
