"""What the log says of jobs: one line when an attempt ends, and never an argument.

Dramatiq logs a failure with its traceback, whose last line is the exception's own text, and that may
quote an argument. The same is said here with the text redacted; file, line and function stay.
At DEBUG it prints all arguments of each call, which nothing of ours lets through.
"""

import logging
import time
from typing import Any

import dramatiq
import orjson

from broker.proxy import JobProxy
from jobs.error_groups import telling
from jobs.errors import HoldJob, RunEnded
from jobs.failures import describe
from jobs.hiding import values_of
from jobs.model import Outcome, Verdict

logger = logging.getLogger("callboard.jobs")
hooks = logging.getLogger("broker.hooks")

#: A line costs as much as a short job, so of more in a second the rest is only counted.
LINES_A_SECOND = 20

WORKER_LOGGER = "dramatiq.worker.WorkerThread"


class RedactedFailures(logging.Filter):
    """Rewrites a record's exceptions as type, redacted message and stack. What is no failure is dropped."""

    def filter(self, record: logging.LogRecord) -> bool:
        raised = record.exc_info[1] if record.exc_info else None
        if raised is not None:
            raised = telling(raised)
        if isinstance(raised, HoldJob | RunEnded):
            return False  # the job's own line says it
        values = record.args if isinstance(record.args, tuple) else ()
        job = next((value for value in values if isinstance(value, JobProxy)), None)
        hide = values_of(job) if job else ()
        if any(isinstance(value, BaseException) for value in values):
            record.args = tuple(
                describe(value, hide).message if isinstance(value, BaseException) else value
                for value in values
            )
        if raised is not None:
            failure = describe(raised, hide)
            lines = [record.getMessage(), f"{failure.type}: {failure.message}", *failure.stack]
            record.msg, record.args = "\n  ".join(lines), ()
            record.exc_info = record.exc_text = None
        return True


def keep_arguments_out() -> None:
    """Install the filter on Dramatiq's worker log, once."""
    logger = logging.getLogger(WORKER_LOGGER)
    if not any(isinstance(entry, RedactedFailures) for entry in logger.filters):
        logger.addFilter(RedactedFailures())


class NoDebugLines(logging.Filter):
    """Drops what is below INFO. A level would also raise a log that is kept at WARNING."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.INFO


def quiet_actor(actor: "dramatiq.Actor[..., Any]") -> None:
    """Keep Dramatiq's "Received args=… kwargs=…" out of this actor's log, once."""
    if not any(isinstance(entry, NoDebugLines) for entry in actor.logger.filters):
        actor.logger.addFilter(NoDebugLines())


def complain(hook: str, middleware: dramatiq.Middleware, error: BaseException) -> None:
    """Say that a hook failed. The error's own text may quote an argument."""
    failure = describe(error)
    hooks.error(
        "%s of %s failed: %s\n  %s", hook, type(middleware).__name__, failure.type, "\n  ".join(failure.stack)
    )


class JobLog:
    """Writes how attempts ended. Completed ones beyond LINES_A_SECOND are summed up."""

    def __init__(self) -> None:
        self._second = 0
        self._lines = 0
        self._more = 0

    def settled(self, proxy: JobProxy, verdict: Verdict) -> None:
        """One attempt has ended with this verdict."""
        if verdict.outcome is Outcome.COMPLETED:
            self._completed(proxy)
            return
        attempt = _attempt(proxy)
        if verdict.outcome is Outcome.RETRY:
            logger.warning("%s failed, again in %.1f s (%s)", proxy, verdict.delay_ms / 1000, attempt)
        elif verdict.outcome is Outcome.FAILED:
            reason = orjson.loads(verdict.record or b"{}").get("error", {}).get("message", "")
            logger.error("%s is a dead letter in %s (%s): %s", proxy, verdict.dead_letter, attempt, reason)
        elif verdict.outcome is Outcome.HELD:
            seconds = verdict.delay_ms / 1000
            logger.info(
                "%s is held, its %s rests for %.1f s: %s", proxy, verdict.rests, seconds, verdict.reason
            )
        else:
            logger.info("%s %s (%s)", proxy, verdict.outcome, attempt)

    def _completed(self, proxy: JobProxy) -> None:
        now = time.monotonic()
        if int(now) != self._second:
            more, self._more, self._lines, self._second = self._more, 0, 0, int(now)
            if more:
                logger.info("and %d more jobs were completed", more)
        self._lines += 1
        if self._lines > LINES_A_SECOND:
            self._more += 1
        else:
            took_ms = (now - proxy.started) * 1000
            logger.info("%s completed in %.0f ms (%s)", proxy, took_ms, _attempt(proxy))


def _attempt(proxy: JobProxy) -> str:
    return f"attempt {proxy.job.attempt} of {proxy.job.max_attempts}"
