"""Keeps arguments out of the log when a job fails.

Dramatiq logs a failure with its traceback, whose last line is the exception's own text, and that may
quote an argument. The same is said here with the text redacted; file, line and function stay.
"""

import logging

from jobs.failures import describe

WORKER_LOGGER = "dramatiq.worker.WorkerThread"


class RedactedFailures(logging.Filter):
    """Rewrites a record's exception as type, redacted message and stack."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            failure = describe(record.exc_info[1])
            lines = [record.getMessage(), f"{failure.type}: {failure.message}", *failure.stack]
            record.msg, record.args = "\n  ".join(lines), ()
            record.exc_info = record.exc_text = None
        return True


def keep_arguments_out() -> None:
    """Install the filter on Dramatiq's worker log, once."""
    logger = logging.getLogger(WORKER_LOGGER)
    if not any(isinstance(entry, RedactedFailures) for entry in logger.filters):
        logger.addFilter(RedactedFailures())
