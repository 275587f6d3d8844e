"""S3's seven functions over the audit, what operators did, and whether the chains hold."""

from collections.abc import Generator, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from control.service.audit_views import (
    ActionView,
    AttemptFigures,
    Cleaned,
    CostView,
    ErrorAnalysis,
    ErrorView,
    FailureView,
    PerformanceView,
    QueuePerformance,
    SpanView,
    StatisticsView,
    VerificationView,
    WorkerFiguresView,
)
from control.service.errors import NotAllowed
from control.service.journal import acting, record
from control.service.requests import AuditRange
from control.service.views import View

if TYPE_CHECKING:
    from actors.composition import App
    from database.audit_figures import AuditFigures, Percentiles, QueueFigures, Wanted

V = TypeVar("V", bound=View)

#: Without a beginning: what is asked about the present, and how far back failures are looked for.
A_DAY, KEPT = timedelta(days=1), timedelta(days=90)
FAILURES, SLOW, ACTIONS = 50, 50, 50
SLOW_MS = 60_000


class AuditReports:
    """All raise DatabaseUnavailable and DatabaseOutdated. `by` is who asks.

    With `tenant` only that tenant's rows are shown, whatever is asked for; another's raise NotAllowed, and so
    does what is about the whole installation.
    """

    def __init__(self, app: "App", by: str, tenant: str | None = None) -> None:
        self._app = app
        self._by = by
        self._tenant = tenant

    def statistics(self, asked: AuditRange) -> StatisticsView:
        """What became of the attempts of a tenant in a range of time (the last day): S3 getJobStatistics."""
        wanted, figures = self._wanted(asked), self._figures()
        total, *queues = figures.by_queue(wanted)
        ended = total.completed + total.failed
        return StatisticsView(
            **_range(wanted),
            total=_filled(AttemptFigures, total),
            queues=[_filled(AttemptFigures, one) for one in queues],
            success_rate=_share(total.completed, ended),
            costs=[_filled(CostView, one) for one in figures.costs(wanted)],
        )

    def recent_failures(self, asked: AuditRange, limit: int = FAILURES) -> list[FailureView]:
        """The last jobs that failed for good, newest first: S3 getRecentFailures."""
        found = self._figures().failures(self._wanted(asked, KEPT), limit)
        return [_filled(FailureView, one) for one in found]

    def error_analysis(self, asked: AuditRange) -> ErrorAnalysis:
        """What failed, by cause: S3 getErrorAnalysis."""
        wanted = self._wanted(asked)
        errors = [_filled(ErrorView, one) for one in self._figures().errors(wanted)]
        return ErrorAnalysis(**_range(wanted), errors=errors)

    def slow_jobs(
        self, asked: AuditRange, threshold_ms: int = SLOW_MS, limit: int = SLOW
    ) -> list[FailureView]:
        """Attempts that ran at least so long, the longest first: S3 getSlowJobs."""
        found = self._figures().slow(self._wanted(asked), threshold_ms, limit)
        return [_filled(FailureView, one) for one in found]

    def worker_statistics(self, asked: AuditRange) -> list[WorkerFiguresView]:
        """What each worker process did, the busiest first: S3 getWorkerStatistics."""
        return [_filled(WorkerFiguresView, one) for one in self._figures().workers(self._wanted(asked))]

    def performance_metrics(self, asked: AuditRange) -> PerformanceView:
        """Waits, runs and rates of each queue: S3 getPerformanceMetrics."""
        wanted, figures = self._wanted(asked), self._figures()
        waits = {one.queue: one for one in figures.wait_percentiles(wanted)}
        runs = {one.queue: one for one in figures.run_percentiles(wanted)}
        minutes = max((wanted.until - wanted.since) / timedelta(minutes=1), 1 / 60)
        queues = [
            _performance(one, minutes, waits.get(one.queue or ""), runs.get(one.queue or ""))
            for one in figures.by_queue(wanted)[1:]
        ]
        return PerformanceView(**_range(wanted), queues=queues)

    def clean(self, older_than: timedelta | None = None, limit: int = 10_000) -> Cleaned:
        """Remove rows that are too old, about `limit` at most: S3 cleanupOldExecutions.

        Attempts go after `older_than`, or what the settings say (90 days); what operators did goes after
        `audit.operators_retention`. Raises NotAllowed.
        """
        chunks, done = self.clean_all(older_than), Cleaning()
        for done in chunks:
            if done.rows >= limit:
                break
        chunks.close()
        return Cleaned(executions=done.executions, actions=done.actions, more=done.rows >= limit)

    def clean_all(self, older_than: timedelta | None = None) -> Generator["Cleaning", None, None]:
        """The same in chunks until nothing old is left; yields what was removed so far."""
        from database.audit_retention import AuditRetention

        self._for_operators()
        audit = self._app.settings.audit
        age = timedelta(milliseconds=audit.retention) if older_than is None else older_than
        retention = AuditRetention(self._app.engine(), self._app.chain_keys())
        days = round(age / timedelta(days=1), 3)
        done = Cleaning()
        with acting(self._app, self._by, "audit.clean", parameters={"older_than_days": days}) as deed:
            for removed in retention.executions(age):
                done = done.and_executions(removed)
                deed.count = done.rows
                yield done
            for removed in retention.operators(timedelta(milliseconds=audit.operators_retention)):
                done = done.and_actions(removed)
                deed.count = done.rows
                yield done
        record(self._by, "audit.clean", removed=done.rows, older_than_days=days)

    def actions(self, tenant_id: str | None = None, limit: int = ACTIONS) -> list[ActionView]:
        """What operators did, newest first."""
        from database.operator_actions import OperatorActions

        found = OperatorActions(self._app.engine()).read(self._scope(tenant_id), limit)
        return [_filled(ActionView, one) for one in found]

    def verify(self, noted: Sequence[str] = ()) -> list[VerificationView]:
        """Walk over both chains. `noted` are heads from before, such as `executions=42:hash`.

        Raises NotAllowed, and ValueError for a head that cannot be read.
        """
        from database.audit_check import AuditCheck, NotedHead

        self._for_operators()
        heads = {name: NotedHead.read(head) for name, _, head in (one.partition("=") for one in noted)}
        if strange := heads.keys() - {"executions", "operators"}:
            raise ValueError(f"{min(strange)!r} is no chain; give executions=… or operators=…")
        check = AuditCheck(self._app.engine(), self._app.chain_keys())
        walked = check.executions(heads.get("executions")), check.operators(heads.get("operators"))
        return [_filled(VerificationView, one) for one in walked]

    def _figures(self) -> "AuditFigures":
        from database.audit_figures import AuditFigures

        return AuditFigures(self._app.engine())

    def _wanted(self, asked: AuditRange, back: timedelta = A_DAY) -> "Wanted":
        from database.audit_figures import Wanted

        until = asked.until or datetime.now(UTC)
        since = asked.since or until - back
        return Wanted(since, until, self._scope(asked.tenant_id), asked.queue)

    def _scope(self, asked: str | None) -> str | None:
        if self._tenant is None:
            return asked
        if asked is not None and asked != self._tenant:
            raise NotAllowed("this key sees only the rows of its own tenant; leave tenantId out")
        return self._tenant

    def _for_operators(self) -> None:
        if self._tenant is not None:
            raise NotAllowed("this is about the rows of all tenants; it takes the operators' key")


class Cleaning(View):
    """What a clean-up has removed so far."""

    executions: int = 0
    actions: int = 0

    @property
    def rows(self) -> int:
        return self.executions + self.actions

    def and_executions(self, removed: int) -> "Cleaning":
        return Cleaning(executions=self.executions + removed, actions=self.actions)

    def and_actions(self, removed: int) -> "Cleaning":
        return Cleaning(executions=self.executions, actions=self.actions + removed)


def _performance(
    one: "QueueFigures", minutes: float, wait: "Percentiles | None", run: "Percentiles | None"
) -> QueuePerformance:
    ended = one.completed + one.failed
    return QueuePerformance(
        queue=one.queue or "",
        attempts_per_minute=round(one.attempts / minutes, 3),
        mean_wait_ms=one.mean_wait_ms,
        wait_ms=wait and _filled(SpanView, wait),
        mean_run_ms=one.mean_run_ms,
        run_ms=run and _filled(SpanView, run),
        first_try_rate=_share(one.first_try, ended),
        recovered_rate=_share(one.recovered, ended - one.first_try),
        failed_rate=_share(one.failed, ended),
    )


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _range(wanted: "Wanted") -> dict[str, Any]:
    return {"since": wanted.since, "until": wanted.until, "tenant_id": wanted.tenant_id}


def _filled(kind: type[V], row: Any) -> V:
    """A view from the fields of a row that it has, too."""
    known = kind.model_fields.keys() & {one.name for one in fields(row)}
    values = asdict(row)
    return kind(**{name: values[name] for name in known})
