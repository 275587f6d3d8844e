"""The middleware of every job, in order. Before-hooks run down the list, after-hooks up it.

A place can be left out, and others added at the end, from settings (`middleware.without`,
`middleware.extra`); what is first here has the last word after a run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

import dramatiq
from dramatiq.middleware import AsyncIO, Pipelines
from dramatiq.results import ResultBackend, Results

from jobs.rules import RulesOf
from middleware.audit import Audit
from middleware.callbacks import Callbacks
from middleware.dead_letters import DeadLetters
from middleware.progress import Progress, Write
from middleware.retries import Retries
from middleware.time_limits import TimeLimits
from middleware.validation import Validation


@dataclass(frozen=True, slots=True)
class Ports:
    """What the stack needs from rooms it may not import; the composition root hands it in."""

    rules_of: RulesOf
    write_progress: Write
    results: ResultBackend
    permanent: tuple[type[BaseException], ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """One middleware and why it stands where it stands."""

    name: str
    make: Callable[[Ports], dramatiq.Middleware]
    reason: str


STACK: tuple[Place, ...] = (
    Place("audit", lambda ports: Audit(), "its after-hook comes last, so it records what all others decided"),
    Place(
        "dead_letters", lambda ports: DeadLetters(ports.rules_of), "after retries gave up, before the audit"
    ),
    Place(
        "pipelines",
        lambda ports: Pipelines(),
        "Dramatiq's; after retries called a job failed. It enqueues in a hook, the weaker promise: when the "
        "store is away at that moment, the job is completed and its next one is not sent",
    ),
    Place(
        "callbacks",
        lambda ports: Callbacks(),
        "Dramatiq's on_success and on_failure; the same place and the same weaker promise as pipelines",
    ),
    Place("retries", lambda ports: Retries(ports.rules_of, ports.permanent), "sees failures of all below it"),
    Place(
        "validation", lambda ports: Validation(), "its refusals must reach retries, to be called permanent"
    ),
    Place(
        "time_limit", lambda ports: TimeLimits(ports.rules_of), "the clock starts when the checks are through"
    ),
    Place("async_io", lambda ports: AsyncIO(), "Dramatiq's; runs actors that are `async def`"),
    Place("results", lambda ports: _results(ports), "Dramatiq's; for message.get_result()"),
    Place(
        "progress", lambda ports: Progress(ports.write_progress), "closest to the actor, which reports to it"
    ),
)


def build_stack(
    ports: Ports, without: Sequence[str] = (), extra: Sequence[str] = ()
) -> list[dramatiq.Middleware]:
    """The middleware in order. Raises ValueError for a name or dotted path that does not exist."""
    names = [place.name for place in STACK]
    unknown = [name for name in without if name not in names]
    if unknown:
        raise ValueError(f"middleware.without names {unknown[0]!r}, but there is only {', '.join(names)}.")
    stack = [place.make(ports) for place in STACK if place.name not in without]
    return stack + [_load(path) for path in extra]


def _results(ports: Ports) -> dramatiq.Middleware:
    return Results(backend=ports.results, store_results=True)  # type: ignore[no-untyped-call]


def _load(path: str) -> dramatiq.Middleware:
    module, _, name = path.rpartition(".")
    try:
        made = getattr(import_module(module), name)()
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ValueError(f"middleware.extra names {path!r}, which cannot be loaded: {error}.") from error
    if not isinstance(made, dramatiq.Middleware):
        raise ValueError(f"middleware.extra names {path!r}, which is no dramatiq.Middleware.")
    return made
