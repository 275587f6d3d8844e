"""OpenTelemetry as this platform uses it: one provider of its own, and the spans of a job.

A job is one trace, from whoever sent it to its last run:

    POST /api/v1/jobs ─ send email_sync ┬ wait email_sync
                                        ├ run email_sync        (attempt 1)  ─ send email_draft ─ …
                                        ├ wait email_sync
                                        └ run email_sync        (attempt 2, linked to attempt 1)

The id of a run's span follows from job and delivery (`span_ids`), so the next delivery can link to it.
"""

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jobs.chain import chain
from jobs.failures import describe, type_name
from jobs.model import FetchedJob, Outcome
from middleware.delivery import Delivery, arguments_of
from middleware.ends import outcome_of
from middleware.span_ids import make_ids, span_id, trace_id_of

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Link, Span

logger = logging.getLogger(__name__)

SYSTEM = "callboard"
#: Longest time for one export, in seconds. It has a thread of its own.
EXPORT_S = 5.0
_MS = 1_000_000  # nanoseconds


class Tracing:
    """`exporter` takes finished spans; `share` of the traces that begin here is kept.

    `at_once` exports each span when it ends, on its own thread: for tests.
    """

    def __init__(
        self,
        exporter: "SpanExporter",
        service: str = "callboard",
        share: float = 1.0,
        *,
        at_once: bool = False,
    ) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._ids, generator = make_ids()
        self.provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(share)),
            resource=Resource.create({"service.name": service}),
            id_generator=generator,
            # A worker's own end is bounded; a producer that exits may lose the last second of spans.
            shutdown_on_exit=False,
        )
        processor = SimpleSpanProcessor if at_once else BatchSpanProcessor
        self.provider.add_span_processor(processor(exporter))
        self._tracer = self.provider.get_tracer("callboard")
        self._propagator = TraceContextTextMapPropagator()

    def of_process(self) -> "Tracing":
        """Make it the process's own, so that instrumented libraries in an actor join the job's trace."""
        from opentelemetry import trace

        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            trace.set_tracer_provider(self.provider)
        return self

    # A job that is sent

    def sending(self, queue: str, actor: str, job_id: str, sent_before: str | None) -> "tuple[Span, str]":
        """The span of a send, and the traceparent that travels with the job.

        Its parent is what runs here. A message that has been sent before (a replay) is linked to that.
        """
        from opentelemetry import trace
        from opentelemetry.trace import SpanKind

        context, links = None, []
        if sent_before and (before := self._context(sent_before)) is not None:
            if trace.get_current_span().get_span_context().is_valid:
                links = [_link(before)]
            else:
                context = before
        span = self._tracer.start_span(
            f"send {actor}",
            context=context,
            kind=SpanKind.PRODUCER,
            links=links,
            attributes=_about(queue, actor, job_id, "send"),
            record_exception=False,
        )
        return span, self._traceparent(span)

    # A run

    def begin(self, run: Delivery) -> None:
        """Open the span of a run on this thread, after one for the wait before it."""
        from opentelemetry import context as here
        from opentelemetry.trace import SpanKind, set_span_in_context

        job, sent = run.job, run.options.get("trace")
        parent = self._context(sent) if isinstance(sent, str) else None
        now = time.time_ns()
        about = _about(job.queue, job.actor, job.id, "process") | {
            "callboard.attempt": job.attempt,
            "callboard.attempts": job.max_attempts,
        }
        if job.lane:
            about["callboard.tenant_id"] = job.lane
        trace_id = trace_id_of(job)
        with self._ids.given(trace_id, span_id(job, job.token)):
            span = self._tracer.start_span(
                f"run {job.actor}",
                context=parent if parent is not None else here.Context(),
                kind=SpanKind.CONSUMER,
                links=self._before(job, parent, trace_id),
                attributes=about,
                start_time=now,
                record_exception=False,
            )
        if span.is_recording() and job.ready_at:
            # The store's clock says how long, ours when: the two need not agree.
            waited = max(0, job.started_at - job.ready_at) * _MS
            wait = self._tracer.start_span(
                f"wait {job.actor}",
                context=parent if parent is not None else set_span_in_context(span, here.Context()),
                attributes=_about(job.queue, job.actor, job.id, "receive"),
                start_time=now - waited,
            )
            wait.end(now)
        run.trace_id = f"{span.get_span_context().trace_id:032x}"
        run.span = (span, here.attach(set_span_in_context(span)))

    def end(self, run: Delivery) -> None:
        """Close the span of a run with what became of it."""
        if run.span is None:
            return
        from opentelemetry import context as here

        (span, token), run.span = run.span, None
        here.detach(token)
        if span.is_recording():
            outcome = outcome_of(run)
            span.set_attribute("callboard.outcome", outcome.value)
            if outcome in (Outcome.RETRY, Outcome.FAILED):
                _say_failure(span, run)
        span.end()

    # A request

    def request(self, method: str, headers: Mapping[str, str]) -> "Span":
        """The span of a request, under that of the client if it sent one."""
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind

        context = self._propagator.extract(headers, context=Context())
        return self._tracer.start_span(
            method,
            context=context,
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method},
            record_exception=False,
        )

    def flush(self) -> None:
        """Send what is there. It may take EXPORT_S when nobody answers."""
        self.provider.force_flush()

    # Inside

    def _traceparent(self, span: "Span") -> str:
        from opentelemetry.context import Context
        from opentelemetry.trace import set_span_in_context

        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, context=set_span_in_context(span, Context()))
        return carrier["traceparent"]

    def _context(self, traceparent: str) -> "Context | None":
        from opentelemetry import trace
        from opentelemetry.context import Context

        found = self._propagator.extract({"traceparent": traceparent}, context=Context())
        return found if trace.get_current_span(found).get_span_context().is_valid else None

    def _before(self, job: FetchedJob, parent: "Context | None", trace_id: int) -> "list[Link]":
        """The link to the delivery before this one."""
        if job.token <= 1:
            return []
        from opentelemetry import trace
        from opentelemetry.trace import Link, SpanContext, TraceFlags

        if parent is not None:
            sender = trace.get_current_span(parent).get_span_context()
            trace_id, flags = sender.trace_id, sender.trace_flags
        else:
            flags = TraceFlags(TraceFlags.SAMPLED)
        before = SpanContext(trace_id, span_id(job, job.token - 1), is_remote=True, trace_flags=flags)
        return [Link(before, {"callboard.link": "the delivery before"})]


def otlp_tracing(endpoint: str, headers: Mapping[str, str], service: str, share: float) -> Tracing:
    """Tracing to an OTLP/HTTP collector, of which `endpoint` is the base URL. Raises ImportError."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise ImportError(
            "Traces are switched on, but the libraries for them are missing: "
            "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
        ) from error
    exporter = OTLPSpanExporter(f"{endpoint}/v1/traces", headers=dict(headers), timeout=EXPORT_S)
    return Tracing(exporter, service, share).of_process()


def _link(context: "Context") -> "Link":
    from opentelemetry import trace
    from opentelemetry.trace import Link

    return Link(trace.get_current_span(context).get_span_context(), {"callboard.link": "sent before"})


def _about(queue: str, actor: str, job_id: str, operation: str) -> dict[str, Any]:
    # The names of OpenTelemetry's conventions for messaging; never an argument.
    return {
        "messaging.system": SYSTEM,
        "messaging.destination.name": queue,
        "messaging.message.id": job_id,
        "messaging.operation.type": operation,
        "callboard.actor": actor,
    }


def _say_failure(span: "Span", run: Delivery) -> None:
    from opentelemetry.trace import Status, StatusCode

    cause = run.exception
    if cause is None:
        span.set_status(Status(StatusCode.ERROR))
        return
    hide = arguments_of(run)
    for one in chain(cause):
        failure = describe(one, hide)
        span.add_event(
            "exception",
            {
                "exception.type": failure.type,
                "exception.message": failure.message,
                "exception.stacktrace": "\n".join(failure.stack),
            },
        )
    span.set_status(Status(StatusCode.ERROR, type_name(cause, hide)))
