"""Stamps each job with its sender's release and signature, and lifts old arguments to the new signature.

    def of_version_1(account: str) -> dict[str, object]:  # the old signature …
        return {"account_id": account, "since": None}     # … returns the new arguments by name

    @actor(version=2, upcasts={1: of_version_1})
    def mailbox_sync(account_id: str, since: date | None) -> None: ...

A rolling deploy has workers of two releases at once: a job of the newer one is left to the newer workers.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import dramatiq
from dramatiq.middleware import SkipMessage

from jobs.errors import CallboardError, InvalidPayload
from jobs.failures import worded_without_values
from jobs.model import Outcome, Verdict, WorkerInfo
from jobs.sightings import Sightings
from middleware.contract import contract_of
from middleware.delivery import Delivery
from middleware.upcasts import Upcasts

logger = logging.getLogger(__name__)

#: The option in which a job carries its stamp.
STAMP = "stamp"
#: A job of a newer release waits this long for a worker of that release …
NEWER_DELAY_MS = 3_000
#: … and is taken here when for so long this process has met such jobs and seen no such worker.
NEWER_S = 60.0
#: How often the registry is asked for one, in seconds.
ASK_EVERY_S = 10.0
#: Newer releases and queues that are remembered.
MOST_MET = 10_000


class Stamp(NamedTuple):
    """Where a job's arguments come from: the release, the version of its actor, and the fingerprint of its
    contract."""

    release: int
    version: int
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.release}.{self.version}.{self.fingerprint}"


#: Jobs of the time before there were stamps.
UNSTAMPED = Stamp(0, 1, "")


def stamp_of(options: Mapping[str, Any]) -> Stamp | None:
    """The stamp in a job's options; None for a job that has none."""
    release, version, fingerprint = (*str(options.get(STAMP, "")).split(".", 2), "", "", "")[:3]
    if not _is_number(release) or not _is_number(version):
        return None
    return Stamp(int(release), int(version), fingerprint)


def worker_version(version: str, release: int) -> str:
    """What a worker process says of itself in the registry: `0.1.0+12` is of release 12."""
    return f"{version}+{release}"


class Releases(dramatiq.Middleware):
    """`release` is this process's number; `workers` asks the registry for the live worker processes."""

    #: As Dramatiq asks for it. `stamp` is written here, whatever a caller gives.
    actor_options = {"version", "upcasts", STAMP}  # noqa: RUF012

    def __init__(self, release: int, workers: Callable[[], list[WorkerInfo]]) -> None:
        self._release = release
        self._written: dict[str, str] = {}  # the stamp of each actor
        self._stamps: dict[str, Stamp] = {}
        self._upcasts: dict[str, Upcasts] = {}
        self._newer = NewerWorkers(workers)

    def after_declare_actor(self, broker: dramatiq.Broker, actor: "dramatiq.Actor[..., Any]") -> None:
        name, options = actor.actor_name, actor.options
        upcasts = Upcasts(name, options.get("version"), options.get("upcasts"))
        try:
            fingerprint = contract_of(name, actor.fn).fingerprint
        except Exception:  # noqa: BLE001  Validation refuses such an actor, where it is wanted
            fingerprint = ""
        stamp = Stamp(self._release, upcasts.version, fingerprint)
        self._stamps[name], self._written[name], self._upcasts[name] = stamp, str(stamp), upcasts

    def before_enqueue(
        self,
        broker: dramatiq.Broker,
        message: "dramatiq.Message[Any]",
        delay: int | None,
    ) -> None:
        options, ours = message.options, self._written[message.actor_name]
        if options:
            self._look_at(message, ours)
            if STAMP in options:
                return
        options[STAMP] = ours

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        job: Delivery = message
        if job.options.get(STAMP) == self._written[job.actor_name]:
            return
        theirs, ours = stamp_of(job.options) or UNSTAMPED, self._stamps[job.actor_name]
        if theirs.release > ours.release or theirs.version > ours.version:
            self._leave_to_newer(job, theirs, ours)
        if theirs.version < ours.version:
            lifted = self._upcasts[job.actor_name].lift(theirs.version, job.args, job.kwargs)
            job.replace_arguments((), lifted)
            # A copy that is sent on from here has the new arguments, and is not lifted once more.
            job.options[STAMP] = self._written[job.actor_name]

    def _leave_to_newer(self, job: Delivery, theirs: Stamp, ours: Stamp) -> None:
        """Hand it back, or return when it has to be taken here all the same."""
        if self._newer.may_come(job, theirs.release):
            job.verdict = Verdict(job.message_id, job.job.token, Outcome.RETURNED, delay_ms=NEWER_DELAY_MS)
            raise SkipMessage(f"{job} is left to a worker of release {theirs.release}")
        if theirs.version > ours.version:
            raise worded_without_values(
                InvalidPayload(
                    f"{job.actor_name} was sent by release {theirs.release} with version {theirs.version} of "
                    f"its arguments; this is release {ours.release} with version {ours.version}, and no "
                    f"worker of a newer one is left."
                )
            )

    def _look_at(self, message: "dramatiq.Message[Any]", ours: str) -> None:
        options = message.options
        for name in ("version", "upcasts"):
            if name in options:
                raise InvalidPayload(f"{name} is said of an actor, `@actor({name}=…)`, not of one job.")
        if options.get(STAMP, ours) != ours:
            self._bring_up_to_date(message)
        # What follows a job is sent by its worker, perhaps a newer one, with arguments that were made here.
        if "pipe_target" in options:
            self._stamp_following(options["pipe_target"])
        for callback in options.get("group_completion_callbacks") or ():
            self._stamp_following(callback)

    def _bring_up_to_date(self, message: "dramatiq.Message[Any]") -> None:
        """A message that was made by another release is sent from here."""
        theirs, ours = stamp_of(message.options) or UNSTAMPED, self._stamps[message.actor_name]
        if theirs.version > ours.version:
            return  # it keeps its stamp
        if theirs.version < ours.version:
            lifted = self._upcasts[message.actor_name].lift(theirs.version, message.args, message.kwargs)
            message.__dict__.update(args=(), kwargs=lifted)
        del message.options[STAMP]

    def _stamp_following(self, message: Any) -> None:
        while isinstance(message, dict) and isinstance(options := message.get("options"), dict):
            if (ours := self._written.get(message.get("actor_name", ""))) is not None:
                options.setdefault(STAMP, ours)
            message = options.get("pipe_target")


class NewerWorkers:
    """Whether a worker of a newer release may yet take a job: while one is there, and a minute longer."""

    def __init__(self, workers: Callable[[], list[WorkerInfo]]) -> None:
        self._workers = workers
        self._met = Sightings(MOST_MET)
        self._seen: list[WorkerInfo] | None = None
        self._ask_at = 0.0

    def may_come(self, job: Delivery, release: int) -> bool:
        now = time.monotonic()
        seen = self._one_is_there(job, release, now)
        # One that is there may be restarted the next moment, and is waited for then.
        return self._met.met((release, job.queue_name), now, seen=seen) < NEWER_S or seen

    def _one_is_there(self, job: Delivery, release: int, now: float) -> bool:
        """Also while the registry cannot be asked."""
        if now >= self._ask_at:
            self._ask_at = now + ASK_EVERY_S
            try:
                self._seen = self._workers()
            except CallboardError as error:
                logger.debug("%s", error)  # the exchange says it aloud
                self._seen = None
        if self._seen is None:
            return True
        newer = (one for one in self._seen if job.queue_name in one.queues and one.owner != job.owner)
        return any(_release_of(one.version) >= release for one in newer)


def _release_of(version: str) -> int:
    number = version.rpartition("+")[2]
    return int(number) if _is_number(number) else 0


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19
