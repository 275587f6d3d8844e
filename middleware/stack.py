"""The middleware of every job, in order. Before-hooks run down the list, after-hooks up it.

A place can be left out or given to another class, and more added at the end, from settings
(`middleware.without`, `middleware.replace`, `middleware.extra`); what is first here has the last word after
a run. To add a place: a line in STACK, and in Ports what it needs of other rooms.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import dramatiq
from dramatiq.middleware import CurrentMessage
from dramatiq.rate_limits import RateLimiterBackend
from dramatiq.results import ResultBackend, Results

from jobs.error_lists import ErrorLists
from jobs.limits import LimitBook
from jobs.model import WorkerInfo
from jobs.rules import RulesOf
from jobs.store import JobStore
from middleware.alerts import Alerts
from middleware.audit import Audit, SealedInputs
from middleware.callbacks import Callbacks
from middleware.dead_letters import DeadLetters
from middleware.deadlines import Deadlines
from middleware.delivery import Delivery
from middleware.dotted import make_middleware
from middleware.event_loop import EventLoop
from middleware.group_callbacks import GroupCallbacks
from middleware.job_log import JobLogs
from middleware.limits import Limits
from middleware.metrics import Metrics
from middleware.notes import Notes
from middleware.pipelines import Pipelines
from middleware.progress import Progress, Write
from middleware.providers import Providers
from middleware.releases import Releases
from middleware.result_cache import CachedResults, ResultCache
from middleware.retries import Retries
from middleware.steps import Steps
from middleware.tallies import Tallies
from middleware.telemetry import Telemetry
from middleware.tenancy import Tenancy
from middleware.time_limits import NoOverruns, Overruns, TimeLimits
from middleware.validation import Validation
from settings import SettingsError

if TYPE_CHECKING:
    from middleware.sentry import Sentry
    from middleware.tracing import Tracing


@dataclass(frozen=True, slots=True)
class Ports:
    """What the stack needs from rooms it may not import; the composition root hands it in."""

    rules_of: RulesOf
    write_progress: Write
    results: ResultBackend
    permanent: tuple[type[BaseException], ...] = ()
    retryable: tuple[type[BaseException], ...] = ()
    error_lists: ErrorLists = field(default_factory=ErrorLists)
    overruns: Overruns = field(default_factory=NoOverruns)
    stuck_s: float = 60.0  # so long after its time limit a run that did not end is called stuck
    seal_inputs: Callable[[Delivery], SealedInputs] | None = (
        None  # for audit rows; None: they have no arguments
    )
    release: int = 0  # the number of this process's
    workers: Callable[[], list[WorkerInfo]] = list  # the registry's live processes
    cached_results: CachedResults | None = None
    barriers: RateLimiterBackend | None = None  # what counts the members of groups
    webhooks: Collection[str] = ()  # the endpoints of the settings
    # Without one of these its place is left out.
    limits: LimitBook | None = None
    store: Callable[[], JobStore] | None = None  # that counts them
    threads: Callable[[], tuple[int, int]] = lambda: (0, 0)  # of this process: free ones, and all
    notes: Notes | None = None
    open_tracing: "Callable[[], Tracing] | None" = None
    tallies: Tallies | None = None
    serve_metrics: Callable[[], Callable[[], None]] = lambda: lambda: None
    open_sentry: "Callable[[], Sentry] | None" = None


@dataclass(frozen=True, slots=True)
class Place:
    """One middleware and why it stands where it stands."""

    name: str
    make: Callable[[Ports], dramatiq.Middleware | None]  # None: it is switched off
    reason: str


STACK: tuple[Place, ...] = (
    Place(
        "telemetry",
        lambda ports: Telemetry(ports.open_tracing) if ports.open_tracing else None,
        "its spans begin before all others' work and end after it",
    ),
    Place(
        "metrics",
        lambda ports: Metrics(ports.tallies, ports.serve_metrics) if ports.tallies else None,
        "counts a run by what all others made of it",
    ),
    Place(
        "alerts",
        lambda ports: Alerts(ports.open_sentry) if ports.open_sentry else None,
        "only when retries and dead_letters have decided is a failure known to be final",
    ),
    Place(
        "audit",
        lambda ports: Audit(ports.seal_inputs),
        "its after-hook comes last, so it records what all others decided",
    ),
    Place(
        "tenancy",
        lambda ports: Tenancy(ports.rules_of),
        "above all that sends jobs in an after-hook: pipelines and callbacks are of the job's tenant",
    ),
    Place(
        "dead_letters", lambda ports: DeadLetters(ports.rules_of), "after retries gave up, before the audit"
    ),
    Place(
        "group_callbacks",
        lambda ports: GroupCallbacks(ports.barriers) if ports.barriers else None,
        "Dramatiq's completion callbacks of groups; a member counts when all else that follows could be sent",
    ),
    Place(
        "pipelines",
        lambda ports: Pipelines(),
        "Dramatiq's; after retries called a job failed. What it sends goes into the verdict of the job",
    ),
    Place(
        "callbacks",
        lambda ports: Callbacks(ports.rules_of, ports.webhooks),
        "on_success and on_failure, in the same verdict; after retries called a failure final",
    ),
    Place(
        "retries",
        lambda ports: Retries(ports.rules_of, ports.permanent, ports.retryable, ports.error_lists),
        "sees failures of all below it",
    ),
    Place(
        "releases",
        lambda ports: Releases(ports.release, ports.workers),
        "lifts old arguments before they are checked, and leaves jobs of a newer release to others",
    ),
    Place(
        "validation",
        lambda ports: Validation(ports.rules_of),
        "its refusals must reach retries, to be called permanent",
    ),
    Place(
        "deadlines",
        lambda ports: Deadlines(),
        "before anything that waits, asks or counts: a job that is too late costs nothing",
    ),
    Place(
        "result_cache",
        lambda ports: ResultCache(ports.cached_results) if ports.cached_results else None,
        "arguments are checked by now, and what need not run takes no place under a limit",
    ),
    Place(
        "limits",
        lambda ports: (
            Limits(ports.limits, ports.store, ports.threads) if ports.limits and ports.store else None
        ),
        "asked last of all that may keep a job from running, so that nothing is taken in vain",
    ),
    Place(
        "providers",
        lambda ports: Providers(ports.limits, ports.store) if ports.limits and ports.store else None,
        "hears of a failure before retries do, and hands the job back when its provider is out of order",
    ),
    Place(
        "time_limit",
        lambda ports: TimeLimits(ports.rules_of, ports.overruns, ports.stuck_s),
        "the clock starts when the checks are through",
    ),
    Place("async_io", lambda ports: EventLoop(), "Dramatiq's; runs actors that are `async def`"),
    Place("current_message", lambda ports: CurrentMessage(), "Dramatiq's; for code that asks what runs here"),
    Place("results", lambda ports: _results(ports), "Dramatiq's; for message.get_result()"),
    Place(
        "steps",
        lambda ports: Steps(ports.notes) if ports.notes else None,
        "what a step does is under the actor's time limit, and its outcome is no result yet",
    ),
    Place(
        "job_log",
        lambda ports: JobLogs(ports.notes) if ports.notes else None,
        "only the actor writes to it; its lines are sent apart from the verdict",
    ),
    Place(
        "progress", lambda ports: Progress(ports.write_progress), "closest to the actor, which reports to it"
    ),
)


class Layer(NamedTuple):
    """One place as it was filled: by the house's class (`default`), another one (`replace`), or by nothing,
    as `without` names it or because what it is for is switched `off`. Of `extra` there is no place."""

    place: str
    middleware: dramatiq.Middleware | None
    source: Literal["default", "replace", "extra", "without", "off"]
    reason: str


def build_stack(
    ports: Ports,
    without: Sequence[str] = (),
    extra: Sequence[str] = (),
    replace: Mapping[str, str] | None = None,
) -> list[Layer]:
    """The stack in order. `without` are names of places, `extra` dotted paths of classes, `replace`
    such a path by the name of a place. Raises SettingsError for what does not exist or cannot be made.
    """
    replace = replace or {}
    names = [place.name for place in STACK]
    for setting, given in (("without", without), ("replace", replace)):
        if unknown := [name for name in given if name not in names]:
            raise SettingsError(
                f"middleware.{setting} names {unknown[0]!r}, but there is only {', '.join(names)}."
            )
    if both := sorted(set(without) & set(replace)):
        raise SettingsError(f"middleware.without and middleware.replace both name {both[0]!r}; keep one.")
    stack = [_filled(place, ports, without, replace) for place in STACK]
    added = "middleware.extra, at the end in that order"
    return stack + [Layer("", make_middleware("extra", path, ports), "extra", added) for path in extra]


def _filled(place: Place, ports: Ports, without: Sequence[str], replace: Mapping[str, str]) -> Layer:
    if place.name in without:
        return Layer(place.name, None, "without", place.reason)
    if (path := replace.get(place.name)) is not None:
        made = make_middleware(f"replace.{place.name}", path, ports)
        return Layer(place.name, made, "replace", place.reason)
    middleware = place.make(ports)
    return Layer(place.name, middleware, "default" if middleware else "off", place.reason)


def _results(ports: Ports) -> dramatiq.Middleware:
    return Results(backend=ports.results, store_results=True)  # type: ignore[no-untyped-call]
