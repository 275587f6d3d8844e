"""What becomes of a fetched job: a proxy for the worker threads, or a verdict when it cannot run here."""

import logging
import time
from collections.abc import Callable, Collection

from broker.codec import Codec, UndecodablePayload
from broker.notes import Notes
from broker.proxy import JobProxy
from jobs.errors import (
    CallboardError,
    ForgedMessage,
    KeyMissing,
    KeyShredded,
    KeyUnavailable,
    UnknownActor,
)
from jobs.events import AttemptDetail
from jobs.failures import describe
from jobs.letters import Ended, names_of
from jobs.model import FetchedJob, Outcome, Verdict, WorkerInfo
from jobs.rules import RulesOf
from jobs.sightings import Sightings

logger = logging.getLogger(__name__)

#: A job whose actor this release does not know waits this long for a worker that does …
UNKNOWN_ACTOR_DELAY_MS = 3_000
#: … and is dead-lettered when for so long this process has met jobs of that actor and seen no worker that
#: knows it: a rolling deploy restarts that one too.
UNKNOWN_ACTOR_S = 60.0
#: Codes of what does not run, for its audit row and for counting.
FORGED, KEY_MISSING, KEY_SHREDDED = "forged", "key_missing", "key_shredded"
UNREADABLE, UNKNOWN_ACTOR = "unreadable", "unknown_actor"
#: No hook of a worker has seen the end of such a job. Only of these another process may read, and trust, whom
#: its sender wanted to be told of it: one that knows the actor, or has the key.
UNHEARD = frozenset({UNKNOWN_ACTOR, KEY_MISSING})
#: How often the registry is asked for one, in seconds.
ASK_EVERY_S = 10.0
#: Unknown actors, and jobs whose key is not here, that are remembered.
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
        notes: Notes | None = None,
    ) -> None:
        self._owner = owner
        self._actors = actors
        self._codec = codec
        self._rules_of = rules_of
        self._workers = workers
        self._notes = notes
        self._strangers = Sightings(MOST_STRANGERS)
        self._keyless = Sightings(MOST_STRANGERS)
        self._seen: list[WorkerInfo] | None = None
        self._ask_at = 0.0

    def __call__(self, job: FetchedJob) -> JobProxy | Verdict:
        if job.actor not in self._actors:
            if self._known_elsewhere(job):
                return Verdict(job.id, job.token, Outcome.RETURNED, delay_ms=UNKNOWN_ACTOR_DELAY_MS)
            unknown = UnknownActor(f"no worker knows an actor named {job.actor!r}")
            return self._dead(job, unknown, UNKNOWN_ACTOR)
        try:
            proxy = self._codec.proxy(job)
        except UndecodablePayload as error:
            logger.error("A job was dead-lettered: %s.", error)
            return self._dead(job, error, UNREADABLE)
        except ForgedMessage as error:
            self._codec.refused[job.queue, FORGED] += 1
            logger.error(
                "A job of queue %s was not made by this fleet and does not run: %s.", job.queue, error
            )
            return self._dead(job, error, FORGED)
        except KeyMissing as error:
            if self._key_elsewhere(job, error):
                return Verdict(job.id, job.token, Outcome.RETURNED, delay_ms=UNKNOWN_ACTOR_DELAY_MS)
            self._codec.refused[job.queue, KEY_MISSING] += 1
            logger.error("A job of queue %s was dead-lettered: %s", job.queue, error)
            return self._dead(job, error, KEY_SHREDDED if isinstance(error, KeyShredded) else KEY_MISSING)
        if proxy.secret and self._notes is not None:
            self._notes.begin(proxy)
        proxy.owner = self._owner
        return proxy

    def _dead(self, job: FetchedJob, error: Exception, code: str) -> Verdict:
        ended = Ended(job.queue, job.actor, job.lane, names_of(error), "permanent", job.attempt)
        dead_letter = self._rules_of(job.queue).dead_letter_of(ended)
        failure = describe(error)
        detail = AttemptDetail(
            error_type=failure.type,
            error_code=code,
            error_message=failure.message,
            fingerprint=failure.fingerprint,
            reason=failure.message,
        )
        return Verdict(
            job.id,
            job.token,
            Outcome.FAILED,
            record=failure.to_record(),
            detail=detail.to_bytes(),
            dead_letter=dead_letter,
        )

    def _key_elsewhere(self, job: FetchedJob, error: KeyMissing) -> bool:
        """Whether another process may have the key: for as long as a worker that knows an actor is waited
        for. A key that was shredded is nowhere, and one in a database that is away is waited for."""
        if isinstance(error, KeyShredded):
            return False
        if isinstance(error, KeyUnavailable):
            return True
        # By job: another may need another key, which is somewhere.
        return self._keyless.met((job.id,), time.monotonic(), seen=False) < UNKNOWN_ACTOR_S

    def _known_elsewhere(self, job: FetchedJob) -> bool:
        """Whether a worker may yet take it: while one is there that knows the actor, and a minute longer."""
        now = time.monotonic()
        known = self._knows_one(job, now)
        # One that knows it may be restarted the next moment, and is waited for then.
        return self._strangers.met((job.queue, job.actor), now, seen=known) < UNKNOWN_ACTOR_S

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
