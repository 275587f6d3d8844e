"""The attempts of a job: from the rows of the audit, and from the job itself what is not there yet."""

from typing import TYPE_CHECKING

from control.service.letter_views import AttemptView, HistoryView
from control.service.reading import error_of
from control.service.views import moment
from jobs.errors import CallboardError, InvalidPayload, JobNotFound
from jobs.failures import fingerprint_of
from jobs.ids import check_stored_id
from jobs.model import Job
from jobs.states import JobState

if TYPE_CHECKING:
    from actors.composition import App
    from database.audit import ExecutionRow

AWAY = "the database is away, so only what the job itself remembers is shown: {reason}"
NOT_YET = "the last attempt is not in the audit yet; it is shown from the job itself"


class HistoryService:
    """Over whatever store and database the app has."""

    def __init__(self, app: "App") -> None:
        self._app = app

    def attempts(self, job_id: str) -> HistoryView:
        """Every attempt with how it ended. Raises JobNotFound and StoreUnavailable; a database that is away
        is said in the answer."""
        job = self._app.store.get(_possible(job_id))
        rows, note = list["ExecutionRow"](), None
        try:
            rows = self._rows(job_id, job)
        except CallboardError as error:
            note = AWAY.format(reason=error)
        if job is None and not rows:
            if note:
                raise JobNotFound(f"there is no job {job_id!r} in the store, and {note}")
            raise JobNotFound(
                f"there is no job {job_id!r}: it was never accepted, or its retention has ended"
            )
        views = [_of_row(row) for row in rows]
        if job is not None and (last := _of_job(job)) is not None and not _is_there(rows, job):
            views.append(last)
            note = note or NOT_YET
        return HistoryView(
            id=job_id, state=job.state if job else None, attempts=views, complete=note is None, note=note
        )

    def _rows(self, job_id: str, job: Job | None) -> "list[ExecutionRow]":
        from database.audit import AuditReader

        rows = AuditReader(self._app.engine()).attempts(job_id)
        if job is None or not rows:
            return rows
        # An id may be used anew once the store has forgotten it; the last one of that name is meant.
        made = max(row.created_at for row in rows)
        return [row for row in rows if row.created_at == made]


def _possible(job_id: str) -> str:
    try:
        return check_stored_id(job_id)
    except InvalidPayload as error:
        raise JobNotFound(f"there is no job {job_id[:128]!r}: {error}") from None


def _of_row(row: "ExecutionRow") -> AttemptView:
    return AttemptView(
        attempt=row.attempt,
        outcome=row.outcome,
        worker=row.worker_name or row.worker,
        ready_at=row.ready_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        wait_ms=row.wait_ms,
        run_ms=row.run_ms,
        error_type=row.error_type,
        error_code=row.error_code,
        error_message=row.error_message,
        fingerprint=row.fingerprint,
        reason=row.reason,
        stack=(row.stack or "").splitlines(),
        trace_id=row.trace_id,
    )


def _is_there(rows: "list[ExecutionRow]", job: Job) -> bool:
    """Whether the last delivery that ended has its row."""
    ended = job.deliveries - (job.state is JobState.ACTIVE)
    return any(row.token >= ended for row in rows)


def _of_job(job: Job) -> AttemptView | None:
    """The last failure, as the job remembers it."""
    error = error_of(job)
    if not error or job.attempts - (job.state is JobState.ACTIVE) < 0:
        return None
    outcome = {JobState.FAILED: "failed", JobState.CANCELLED: "cancelled"}.get(job.state, "retry")
    settled = job.state.settled
    return AttemptView(
        attempt=job.attempts - (job.state is JobState.ACTIVE),
        outcome=outcome,
        ready_at=moment(job.ready_at) if settled else None,
        started_at=moment(job.started_at) if settled else None,
        finished_at=moment(job.finished_at),
        error_type=_text(error.get("type")),
        error_code=_text(error.get("code")),
        error_message=_text(error.get("message")),
        fingerprint=fingerprint_of(error),
        stack=[str(line) for line in error.get("stack") or []],
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
