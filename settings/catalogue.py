"""The queues that come with the house, row by row as CATALOGUE section 2 gives them.

Each row gives only what the catalogue says of that queue; the rest follows `queue_defaults`.
"""

from typing import Any, NamedTuple


class Row(NamedTuple):
    """One row: several queues in one row share its concurrency and rate."""

    queues: str
    concurrency: int
    rate: str
    attempts: int
    backoff: str
    timeout: str
    priority: int
    group: str
    more: dict[str, Any] = {}  # noqa: RUF012 - read only


_BLOB = {"payload_blob": True}

ROWS: tuple[Row, ...] = (
    Row("critical-alert", 10, "none", 5, "exponential 2s", "5min", 1, "primary"),
    Row("email-sync", 5, "10/s", 3, "exponential 5s", "5min", 5, "primary"),
    Row("email-draft", 5, "10/s", 3, "exponential 2s", "2min", 5, "ai"),
    Row("email-send", 10, "100/min", 5, "exponential 2s", "30s", 5, "primary"),
    Row("voice-call", 3, "5/s", 2, "exponential 5s", "12min", 3, "primary"),
    Row(
        "lead-enrichment",
        20,
        "1000/min",
        3,
        "fixed 2s",
        "30min",
        5,
        "primary",
        {"per_resource_rate": "10/s", **_BLOB},
    ),
    Row("workflow-run", 50, "10/s", 3, "exponential 2s", "30min", 5, "primary"),
    Row("webhook-deliver", 15, "none", 5, "exponential 30s", "30s", 5, "primary"),
    Row("webhook-receive", 15, "none", 5, "exponential 2s", "30s", 5, "primary"),
    Row("notification", 20, "none", 5, "exponential 2s", "30s", 5, "primary"),
    Row("pdf-generate", 10, "none", 3, "exponential 2s", "60s", 5, "document"),
    Row("report-generate", 5, "none", 3, "fixed 30s", "10min", 5, "document", _BLOB),
    Row("data-export", 5, "none", 3, "fixed 30s", "10min", 5, "document"),
    Row(
        "document-ocr document-classify document-extract document-scan document-thumbnail",
        8,
        "20/s",
        3,
        "exponential 2s",
        "5min",
        3,
        "document",
        _BLOB,
    ),
    Row("llm-request", 3, "10/s", 3, "exponential 2s", "10min", 5, "ai", _BLOB),
    Row(
        "ai-insights ai-classify-transactions ai-cash-flow ai-anomalies",
        5,
        "10/min",
        3,
        "exponential 5s",
        "10min",
        3,
        "ai",
    ),
    Row("content-ingest content-reembed content-sync", 5, "none", 3, "exponential 2s", "10min", 5, "ai"),
    Row("tool-execution", 10, "100/s", 3, "exponential 1s", "2min", 5, "ai"),
    Row(
        "seo-audit keyword-analysis",
        3,
        "none",
        3,
        "exponential 10s",
        "10min",
        7,
        "primary",
        {"per_resource_rate": "1/s"},
    ),
    Row("ad-analysis ad-automation", 3, "10/min", 3, "exponential 10s", "10min", 7, "primary"),
    Row("integration-sync", 5, "30/min", 3, "exponential 5s", "2min", 5, "primary"),
    Row("data-processing", 3, "none", 3, "exponential 2s", "10min", 7, "primary", _BLOB),
    Row("cache-warmup", 2, "none", 3, "exponential 2s", "10min", 9, "primary"),
    Row("memory-cleanup memory-consolidate", 2, "5/min", 3, "exponential 5s", "10min", 9, "scheduled"),
    Row(
        "maintenance-logs maintenance-database maintenance-cache maintenance-locks",
        2,
        "none",
        2,
        "fixed 30s",
        "30min",
        7,
        "scheduled",
    ),
    Row(
        "scheduled-reports scheduled-reminders scheduled-sync",
        1,
        "none",
        2,
        "fixed 30s",
        "10min",
        9,
        "scheduled",
    ),
    # Failed jobs are routed here; it has metrics and concurrency 1 like any queue (CATALOGUE section 1).
    Row("dead-letter", 1, "none", 3, "exponential 1s", "5min", 5, "primary"),
)

SCHEDULES: tuple[tuple[str, str, bool], ...] = (
    ("scheduled-reports", "0 9 * * *", False),
    ("scheduled-reminders", "0 8 * * 1-5", False),
    ("scheduled-sync", "*/15 * * * *", False),
    ("memory-cleanup", "0 3 * * *", False),
    ("memory-consolidate", "0 4 * * 0", False),
    ("maintenance-logs", "30 2 * * *", True),
    ("maintenance-database", "0 2 * * 0", False),
    ("maintenance-cache", "15 * * * *", False),
    ("maintenance-locks", "*/5 * * * *", True),
)
"""Name (of the queue, too), cron in UTC, and whether it is on without being asked for.

Each run does what is due by then, so that after a downtime one is enough, and none beside another.
"""


def queue_rows() -> dict[str, dict[str, Any]]:
    """Each queue's own values, as a TOML table would give them."""
    return {queue: _values(row) for row in ROWS for queue in row.queues.split()}


def schedule_rows() -> dict[str, dict[str, Any]]:
    """The default schedules, as a TOML table would give them."""
    return {
        name: {
            "actor": name.replace("-", "_"),
            "cron": cron,
            "enabled": enabled,
            "catch_up": "last",
            "overlap": "skip",
        }
        for name, cron, enabled in SCHEDULES
    }


QUEUES: frozenset[str] = frozenset(queue for row in ROWS for queue in row.queues.split())


def _values(row: Row) -> dict[str, Any]:
    kind, delay = row.backoff.split()
    queues = row.queues.split()
    return {
        "concurrency": row.concurrency,
        "rate": row.rate,
        "attempts": row.attempts,
        "backoff": {"type": kind, "delay_ms": delay},
        "timeout_ms": row.timeout,
        "priority": row.priority,
        "group": row.group,
        "share": queues[0].partition("-")[0] if len(queues) > 1 else None,
        **row.more,
    }
