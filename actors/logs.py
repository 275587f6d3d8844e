"""What every log line of a process goes through: lines of a running job say which, and quote no argument.

This holds for workers, the API and the scheduler, and for an actor's own logging:
through `logging`, and in production through structlog.
"""

import logging
import sys
from collections.abc import Iterator
from typing import Any

from jobs.chain import chain
from jobs.failures import describe
from middleware.current import running
from middleware.delivery import Delivery, arguments_of
from settings import Settings


def open_log(settings: Settings) -> None:
    """The log of a process that is no worker: to stderr, from INFO on."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells each look at the tables
    set_up_logs(as_json=settings.logs_as_json)


def set_up_logs(*, as_json: bool) -> None:
    """Mind every handler of the root logger. `dramatiq` has set its handlers up by then."""
    formatter = _json_formatter() if as_json else None
    for handler in logging.getLogger().handlers:
        if formatter is None:
            if not any(isinstance(entry, RedactedExceptions) for entry in handler.filters):
                handler.addFilter(RedactedExceptions())
        else:
            handler.setFormatter(formatter)


class RedactedExceptions(logging.Filter):
    """Writes the exceptions that a job logs as type, redacted message and stack."""

    def filter(self, record: logging.LogRecord) -> bool:
        job = running.get()
        error = record.exc_info[1] if record.exc_info else None
        if job is not None and error is not None:
            record.msg, record.args = "\n".join([record.getMessage(), *_lines(error, job)]), ()
            record.exc_info = record.exc_text = None
        return True


def _lines(error: BaseException, job: Delivery) -> Iterator[str]:
    hide = arguments_of(job)
    for place, one in enumerate(chain(error)):
        failure = describe(one, hide)
        yield f"{'because of ' if place else ''}{failure.type}: {failure.message}"
        yield from (f"  {frame}" for frame in failure.stack)


def _json_formatter() -> logging.Formatter:
    """One object a line."""
    import structlog

    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not structlog.is_configured():
        # Lines of an actor that uses structlog itself take the same way.
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.filter_by_level,
                structlog.stdlib.PositionalArgumentsFormatter(),
                *shared,
                structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
            ],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
        )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), _job_named],
        processors=[
            _job_running,
            _exception_told,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
        pass_foreign_args=True,
    )


def _job_named(_: Any, __: str, line: Any) -> Any:
    """The platform's own lines of a job are written when it runs no more, and name it."""
    for value in line.pop("positional_args", None) or ():
        if _is_delivery(value):
            line.update(_fields(value))
    return line


def _job_running(_: Any, __: str, line: Any) -> Any:
    job = running.get()
    if job is not None:
        for name, value in _fields(job).items():
            line.setdefault(name, value)
    return line


def _is_delivery(value: object) -> bool:
    return hasattr(value, "message_id") and hasattr(value, "job") and hasattr(value, "trace_id")


def _fields(run: Delivery) -> dict[str, Any]:
    job = run.job
    fields: dict[str, Any] = {
        "job_id": job.id,
        "queue": job.queue,
        "actor": job.actor,
        "attempt": job.attempt,
    }
    if job.lane:
        fields["tenant_id"] = job.lane
    if run.trace_id:
        fields["trace_id"] = run.trace_id
    return fields


def _exception_told(logger: Any, name: str, line: Any) -> Any:
    import structlog

    told = line.get("exc_info")
    error = told if isinstance(told, BaseException) else told[1] if isinstance(told, tuple) else None
    if told is True:
        error = sys.exc_info()[1]
    job = running.get()
    if job is None or error is None:
        return structlog.processors.format_exc_info(logger, name, line)
    del line["exc_info"]
    line["exception"] = "\n".join(_lines(error, job))
    return line
