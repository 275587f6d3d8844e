"""What becomes of a fetched job: a proxy for the worker threads, or a verdict when it cannot run here."""

import logging
import time
from collections.abc import Callable, Collection

from broker.codec import Codec, UndecodablePayload
from broker.proxy import JobProxy
from jobs.errors import CallboardError, UnknownActor
from jobs.failures import describe
from jobs.model import FetchedJob, Outcome, Verdict, WorkerInfo
from jobs.rules import RulesOf

logger = logging.getLogger(__name__)

#: A job whose actor this release does not know waits this long for a worker that does …
UNKNOWN_ACTOR_DELAY_MS = 3_000
#: … and is dead-lettered when this process has met it for so long without a live worker that knows the
#: actor: a rolling deploy restarts that one too.
UNKNOWN_ACTOR_S = 60.0
#: How often the registry is asked for one, in seconds.
ASK_EVERY_S = 10.0
#: Jobs of unknown actors that are remembered.
MOST_STRANGERS = 10_000


class Intake:
    """For the jobs of one shard; `workers` asks its registry."""

    def __init__(
        self,
        owner: str,
        actors: Collection[str],
        codec: Codec,
        rules_of: RulesOf,
        workers: Callable[[], list[WorkerInfo]],
    ) -> None:
        self._owner = owner
        self._actors = actors
        self._codec = codec
        self._rules_of = rules_of
        self._workers = workers
        self._met: dict[str, float] = {}
        self._seen: list[WorkerInfo] | None = None
        self._ask_at = 0.0

    def __call__(self, job: FetchedJob) -> JobProxy | Verdict:
        if job.actor not in self._actors:
            if self._known_elsewhere(job):
                return Verdict(job.id, job.token, Outcome.RETURNED, delay_ms=UNKNOWN_ACTOR_DELAY_MS)
            return self._dead(job, UnknownActor(f"no worker knows an actor named {job.actor!r}"))
        try:
            proxy = self._codec.proxy(job)
        except UndecodablePayload as error:
            logger.error("A job was dead-lettered: %s.", error)
            return self._dead(job, error)
        proxy.owner = self._owner
        return proxy

    def _dead(self, job: FetchedJob, error: Exception) -> Verdict:
        dead_letter = self._rules_of(job.queue).dead_letter
        record = describe(error).to_record()
        return Verdict(job.id, job.token, Outcome.FAILED, record=record, dead_letter=dead_letter)

    def _known_elsewhere(self, job: FetchedJob) -> bool:
        """Whether a worker may yet take it: while one is there that knows the actor, and a minute longer."""
        if len(self._met) > MOST_STRANGERS:
            self._met.clear()  # a flood of them: begin counting again rather than grow
        now = time.monotonic()
        if self._knows_one(job, now):
            self._met[job.id] = now  # it may be restarted the next moment, and is waited for then
            return True
        return now - self._met.setdefault(job.id, now) < UNKNOWN_ACTOR_S

    def _knows_one(self, job: FetchedJob, now: float) -> bool:
        """Whether such a worker is in the registry; also while that cannot be asked."""
        if now >= self._ask_at:
            self._ask_at = now + ASK_EVERY_S
            try:
                self._seen = self._workers()
            except CallboardError as error:
                logger.debug("%s", error)  # the exchange says it aloud
                self._seen = None
        if self._seen is None:
            return True
        # A worker that names no actor is of an older release: it may know it.
        return any(
            job.queue in worker.queues and (not worker.actors or job.actor in worker.actors)
            for worker in self._seen
            if worker.owner != self._owner
        )
