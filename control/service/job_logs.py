"""The lines that a job logged, as people read them."""

from typing import TYPE_CHECKING, Any

from control.service.views import AttemptLogView, LogLineView, moment
from jobs.errors import CallboardError
from jobs.model import AttemptLog, Job

if TYPE_CHECKING:
    from actors.composition import App


def attempt_logs(app: "App", job: Job) -> list[AttemptLogView]:
    """Attempt by attempt, the oldest line first. Raises StoreUnavailable."""
    return [
        AttemptLogView(attempt=log.attempt, dropped=log.dropped, lines=_lines(app, job, log))
        for log in app.store.logs(job.id)
    ]


def _lines(app: "App", job: Job, log: AttemptLog) -> list[LogLineView]:
    found: list[LogLineView] = []
    for chunk in log.chunks:
        try:
            told = app.broker.codec.open_note("log", job, chunk)
        except CallboardError as error:
            # What was sealed with a key that is not here must not hide the others.
            told = [{"level": "error", "message": f"lines that cannot be read here: {error}"}]
        found += [_line(line) for line in told if isinstance(line, dict)]
    return found


def _line(line: dict[str, Any]) -> LogLineView:
    at, values = line.get("at"), line.get("values")
    return LogLineView(
        at=moment(at) if isinstance(at, int) else None,
        level=str(line.get("level", "info")),
        message=str(line.get("message", "")),
        values=values if isinstance(values, dict) else {},
    )
