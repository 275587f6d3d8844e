"""A Sentry client of our own, next to whatever an actor's author may have set up with `sentry_sdk.init`.

Its events are made here from what may be known: types, redacted messages, file, line and function. Stock
integrations would add the arguments of the job and the local variables of each frame.
"""

import hashlib
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jobs.chain import chain
from jobs.events import AttemptDetail, EventSink
from jobs.failures import describe
from jobs.hiding import Arguments
from jobs.model import Event
from jobs.states import JobState
from middleware.delivery import Delivery, arguments_of

if TYPE_CHECKING:
    import sentry_sdk.types

MOST_FRAMES = 50
#: What waits for a Sentry that is slow or away; more is dropped rather than kept.
MOST_WAITING = 100
FLUSH_S = 1.8
#: Where the SDK or a later release of it might put data; nothing of ours is there.
_DATA = ("request", "user", "extra", "breadcrumbs", "modules", "threads")


class Sentry:
    """Reports to `dsn`. `tenants`: events have a tag with the tenant. Raises ValueError for a bad DSN."""

    def __init__(
        self, dsn: str, environment: str | None = None, release: str | None = None, *, tenants: bool = False
    ) -> None:
        import sentry_sdk
        from sentry_sdk.utils import BadDsn

        self._tenants = tenants
        try:
            self._client = sentry_sdk.Client(
                dsn=dsn,
                environment=environment,
                release=release,
                default_integrations=False,
                auto_enabling_integrations=False,
                include_local_variables=False,
                include_source_context=False,
                max_request_body_size="never",
                max_breadcrumbs=0,
                auto_session_tracking=False,
                enable_backpressure_handling=False,
                send_client_reports=False,
                spotlight=False,
                transport_queue_size=MOST_WAITING,
                shutdown_timeout=FLUSH_S,
                before_send=scrubbed,
            )
        except BadDsn:
            # Its own words would quote the key.
            raise ValueError(
                "sentry.dsn (SENTRY_DSN) is no DSN such as https://key@sentry.example/1."
            ) from None

    def report_run(self, run: Delivery) -> None:
        """A run that ended in a failure for good."""
        job, cause, hide = run.job, run.exception, arguments_of(run)
        values: list[dict[str, Any]] = []
        fingerprint = "no-exception"
        if cause is not None:
            fingerprint = describe(cause, hide).fingerprint
            values = [_exception(one, hide) for one in reversed(chain(cause))]  # Sentry's order: cause first
        dead_letter = run.verdict.dead_letter if run.verdict is not None else ""
        self._send(
            (job.id, job.token),
            job.actor,
            [fingerprint],
            {"queue": job.queue, "actor": job.actor, "job_id": job.id, "dead_letter": dead_letter},
            job.lane,
            run.trace_id,
            attempts={"attempt": job.attempt, "of": job.max_attempts, "delivery": job.token},
            exception=values
            or [{"type": "Failed", "value": "a middleware failed the job without saying why"}],
        )

    def report_event(self, event: Event) -> None:
        """A job that failed for good without a run: its workers died with it, or it could not be read."""
        detail = _detail(event)
        kind = detail.error_code or event.outcome.value
        self._send(
            (event.job_id, event.token),
            event.actor,
            ["callboard", kind, event.actor],
            {"queue": event.queue, "actor": event.actor, "job_id": event.job_id, "kind": kind},
            event.lane,
            detail.trace_id,
            attempts={"attempt": event.attempt, "delivery": event.token},
            exception=[{"type": kind, "value": detail.reason or _WITHOUT_RUN}],
        )

    def flush(self) -> None:
        """Send what waits; returns after FLUSH_S in any case."""
        self._client.flush(timeout=FLUSH_S)

    def _send(
        self,
        identity: tuple[str, int],
        actor: str,
        fingerprint: list[str],
        tags: dict[str, str],
        tenant: str,
        trace_id: str,
        *,
        attempts: dict[str, int],
        exception: list[dict[str, Any]],
    ) -> None:
        if tenant and self._tenants:
            tags["tenant"] = tenant
        if trace_id:
            tags["trace_id"] = trace_id
        event: sentry_sdk.types.Event = {
            # The same delivery is the same event, however often it is told.
            "event_id": hashlib.blake2b(f"{identity[0]}\0{identity[1]}".encode(), digest_size=16).hexdigest(),
            "timestamp": datetime.now(UTC),
            "level": "error",
            "logger": "callboard",
            "transaction": actor,
            "fingerprint": fingerprint,
            "tags": {name: value for name, value in tags.items() if value},
            "contexts": {"attempts": dict(attempts)},
            "exception": {"values": exception},
        }
        self._client.capture_event(event)


class LostAlerts:
    """An EventSink around another: what it stores is looked through for failures that no run told of."""

    def __init__(self, sink: EventSink, open_sentry: Callable[[], Sentry]) -> None:
        self._sink = sink
        self._open = open_sentry

    def write(self, events: Sequence[Event]) -> None:
        self._sink.write(events)
        for event in events:
            # What ran has left its error in the detail, and was told by the Alerts middleware.
            if event.state is JobState.FAILED and b'"error_type"' not in event.detail:
                self._open().report_event(event)


_WITHOUT_RUN = "it failed for good without a run that could say why; see the job"


def _detail(event: Event) -> AttemptDetail:
    try:
        return AttemptDetail.from_bytes(event.detail)
    except (ValueError, TypeError):
        return AttemptDetail()  # the audit row says that it is unreadable; the stream must go on


def scrubbed(event: Any, hint: Any) -> Any:
    """The last look at an event on its way out."""
    for name in _DATA:
        event.pop(name, None)
    for value in event.get("exception", {}).get("values", ()):
        for frame in (value.get("stacktrace") or {}).get("frames", ()):
            for name in ("vars", "pre_context", "context_line", "post_context"):
                frame.pop(name, None)
    return event


def _exception(exception: BaseException, hide: Arguments) -> dict[str, Any]:
    failure = describe(exception, hide)
    frames = [
        {
            "filename": frame.filename,
            "abs_path": frame.filename,
            "function": frame.name,
            "lineno": frame.lineno,
        }
        for frame in traceback.extract_tb(exception.__traceback__)[-MOST_FRAMES:]
    ]
    module = type(exception).__module__
    told: dict[str, Any] = {"type": failure.type, "value": failure.message, "module": module}
    return told | {"stacktrace": {"frames": frames}} if frames else told
