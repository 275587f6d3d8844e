"""From an event of the stream to the values of an audit row.

Made for speed, because a worker process writes a row for each attempt of every job: tuples and text
times instead of the ORM. About 6 µs a row, half of it the detail; its digest for the chain is 2 µs more.
"""

import math
from binascii import Error as NotBase64
from binascii import a2b_base64, b2a_base64
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from database.models import JobExecution
from jobs.events import AttemptDetail
from jobs.model import Event, Outcome

#: Columns in the order of `row_of`.
COLUMNS = tuple(column.name for column in JobExecution.__table__.columns if column.name != "id")

_EPOCH = datetime(1970, 1, 1)  # UTC without its zone: the text carries none
_LAST_MS = 253_402_300_799_999  # the end of the year 9999
_LARGEST = 2**63 - 1

#: Bytes stand in it as base64 text, so that a row can be hashed and sent as JSON.
Row = tuple[str | int | float | None, ...]


def row_of(event: Event, recorded_at: str) -> Row:
    """The values of one row. Never raises for what an event may hold: a row must not block the stream."""
    detail, event = _readable(event)
    started, finished = event.started_at, event.finished_at
    return (
        event.job_id,
        min(event.attempt, _LARGEST),
        min(event.token, _LARGEST),
        event.queue,
        event.actor,
        event.lane or None,
        detail.user_id or None,
        event.outcome.value,
        event.state.value,
        event.owner or None,
        detail.worker or None,
        moment(event.created_at) or _AT_EPOCH,
        moment(event.ready_at),
        moment(started),
        moment(finished) or recorded_at,
        _span(event.ready_at, started),
        _span(started, finished),
        detail.error_type or None,
        detail.error_code or ("lost_lease" if event.outcome is Outcome.LOST else None),
        detail.error_message or None,
        detail.stack or None,
        detail.fingerprint or None,
        detail.input_digest or None,
        detail.reason or None,
        recorded_at,
        _sealed(detail.inputs) if detail.inputs else None,
        detail.trace_id or None,
        _number(detail.cost) if detail.cost else None,
        detail.cost_unit or None,
    )


def now() -> str:
    """This moment in UTC as both databases read it."""
    return text_of(datetime.now(UTC))


def text_of(moment: datetime) -> str:
    """A moment in UTC as both databases and the chain's hashes have it."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(" ", "microseconds")


def as_text(data: bytes) -> str:
    """Bytes as a row has them."""
    return b2a_base64(data, newline=False).decode()


def moment(milliseconds: int) -> str | None:
    """UTC text of a time since 1970, as SQLite keeps it; None for 0 ("never") and for nonsense."""
    if 0 < milliseconds <= _LAST_MS:
        seconds, rest = divmod(milliseconds, 1000)
        return f"{_second(seconds)}.{rest:03d}000"
    return None


@lru_cache(maxsize=4096)  # the times of one batch lie close together
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat(" ")


def _span(start: int, end: int) -> int | None:
    return min(max(0, end - start), _LARGEST) if start > 0 and end > 0 else None


def _sealed(text: str) -> str | None:
    try:
        return as_text(a2b_base64(text, strict_mode=True))
    except (NotBase64, ValueError):
        return None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _readable(event: Event) -> tuple[AttemptDetail, Event]:
    """The detail and the event without NULs, which PostgreSQL refuses in text."""
    try:
        detail = _UNREADABLE if event.detail[:1] not in _OBJECT else AttemptDetail.from_bytes(event.detail)
    except (ValueError, TypeError):
        detail = _UNREADABLE
    if b"\\u0000" in event.detail:
        clean = {name: getattr(detail, name).replace("\0", _REPLACEMENT) for name in AttemptDetail.__slots__}
        detail = AttemptDetail(**clean)
    if "\0" in f"{event.job_id}{event.queue}{event.actor}{event.lane}{event.owner}":
        names = ("job_id", "queue", "actor", "lane", "owner")
        event = event._replace(**{name: getattr(event, name).replace("\0", _REPLACEMENT) for name in names})
    return detail, event


_UNREADABLE = AttemptDetail(error_code="unreadable_detail")
_OBJECT = (b"{", b"")  # how a detail begins; other JSON would be read as one without fields
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_AT_EPOCH = _EPOCH.isoformat(" ", "microseconds")
