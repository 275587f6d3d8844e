"""Check of the audit: whether its rows keep up with the jobs."""

from typing import TYPE_CHECKING

from control.service.checks.finding import Finding, ok, problem
from jobs.errors import CallboardError

if TYPE_CHECKING:
    from actors.composition import App

#: Workers write four times a second, and try again after 5 s at most.
TOO_OLD_MS = 60_000


def lag(app: "App") -> Finding | None:
    """How far rows are behind; None when the job store is away, which its own check says."""
    try:
        behind = app.audit_lag.in_store()
    except CallboardError:
        return None
    if not behind.entries:
        return ok("audit", "no attempt waits to be stored")
    told = f"{behind.entries:,} entries of attempts wait for their rows, the oldest for "
    told += f"{behind.oldest_ms / 1000:,.0f} s"
    if behind.oldest_ms < TOO_OLD_MS:
        return ok("audit", told)
    mend = "see that workers run and can write to the database: their logs say why they wait"
    return problem("audit", told, mend)
