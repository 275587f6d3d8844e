"""Durable steps: what a job has done is not done again when it is tried again.

    @actor
    def onboard(user_id: str) -> None:
        account = step("account", create_account, user_id)
        effect("welcome mail", {"key": f"welcome-{user_id}"}, send_mail, mail_was_sent)

The outcome of a step is stored as soon as it is there. The next run of the job, also one after a SIGKILL or a
replay of the dead letter, gets it from there. What exactly is promised is in docs/idempotency.md.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable, iscoroutinefunction
from typing import Any, TypeVar, cast, overload

import dramatiq

from jobs.errors import ForgedMessage, LeaseLost, StepError, StoreUnavailable
from middleware.cancellation import cancellation
from middleware.current import running
from middleware.delivery import Delivery
from middleware.notes import Notes
from middleware.outcomes_of_steps import Converter, converter_of
from middleware.steps_without_job import Watch
from middleware.under_way import under_way_of

R = TypeVar("R")
LONGEST_NAME = 200
#: Bytes of one outcome, and of all that a job keeps.
MAX_OUTCOME, MAX_OF_JOB = 102_400, 8_388_608
#: While the store is away a finished step waits so long for it, in seconds, rather than be lost.
SAVE_FOR_S = 30.0
TRY_AGAIN_S = 0.25
#: What stands before a stored value.
OUTCOME, INTENT, EFFECT = "step", "intent", "effect"

_making = threading.Lock()  # of the steps of a run, whose threads may begin at the same time


def step(name: str, fn: Callable[..., R], *args: Any, **kwargs: Any) -> R:
    """What `fn(*args, **kwargs)` returns, run once for the job: a later run gets the stored outcome.

    Where `fn` is `async def`, so is this: `await step(…)`. The outcome is what JSON makes of it, given the
    type of `fn`'s return annotation again if it has one; that in the first run too, so that no run differs. A
    step that raises stores nothing and runs again with the next attempt. Outside a job it is a plain call.

    Raises StepError (not retried) for a name that this run had before, an outcome that is too large, a plain
    `fn` on the event loop, which it would hold up, and in a thread that does not know the job beside it;
    InvalidPayload for an outcome without a JSON form; JobCancelled when the job shall end; LeaseLost when
    another process has it: let it end the run then.
    """
    run = _run_of_steps()
    if iscoroutinefunction(fn):
        return cast(R, _step_async(run, name, fn, args, kwargs))
    if run is None:
        return fn(*args, **kwargs)
    _check_thread("step", run, name)
    convert = converter_of(fn)
    with run.under_way.in_this_thread():
        kept = run.begin(name, OUTCOME)
        if kept is not None:
            return cast(R, convert(run.named(name), kept[1]))
        return cast(R, run.finish(name, OUTCOME, fn(*args, **kwargs), convert))


@overload
def effect(
    name: str,
    intent: Any,
    do: Callable[[Any], Awaitable[R]],
    probe: Callable[[Any], Awaitable[R | None]],
) -> Awaitable[R]: ...
@overload
def effect(name: str, intent: Any, do: Callable[[Any], R], probe: Callable[[Any], R | None]) -> R: ...
def effect(name: str, intent: Any, do: Callable[[Any], Any], probe: Callable[[Any], Any]) -> Any:
    """Do at a provider what must not be done twice: `do(intent)`, and what it returns.

    The intent (what has a JSON form, such as an idempotency key) is stored first. A later run that finds it
    without an outcome asks `probe(intent)` what became of it: the outcome, or None when it did not happen,
    and then does it. All runs get the intent of the first one. `do` and `probe` are both plain, or both
    `async def`; then so is this. It stays done also in a replay from the start. Raises what `step` does.
    """
    run = _run_of_steps()
    if iscoroutinefunction(do) or iscoroutinefunction(probe):
        if not (iscoroutinefunction(do) and iscoroutinefunction(probe)):
            raise StepError("do and probe of an effect must both be `async def`, or both plain.")
        return _effect_async(run, name, intent, do, probe)
    if run is None:
        return do(intent)
    _check_thread("effect", run, name)
    convert = converter_of(do)
    with run.under_way.in_this_thread():
        kind, value = run.begin(name, EFFECT) or (None, None)
        if kind == EFFECT:
            return convert(run.named(name), value)
        found: Any = None
        if kind == INTENT:
            found = probe(value)
        else:
            value = run.save(name, INTENT, intent)
        return run.finish(name, EFFECT, do(value) if found is None else found, convert)


async def _step_async(
    run: "StepRun | None",
    name: str,
    fn: Callable[..., Awaitable[Any]],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    if run is None:
        return await fn(*args, **kwargs)
    convert, under_way = converter_of(fn), run.under_way
    under_way.begin()
    try:
        kept = await under_way.in_thread(run.begin, name, OUTCOME)
        if kept is not None:
            return convert(run.named(name), kept[1])
        outcome = await fn(*args, **kwargs)
        return await under_way.in_thread(run.finish, name, OUTCOME, outcome, convert)
    finally:
        under_way.end()


async def _effect_async(
    run: "StepRun | None",
    name: str,
    intent: Any,
    do: Callable[[Any], Awaitable[Any]],
    probe: Callable[[Any], Awaitable[Any]],
) -> Any:
    if run is None:
        return await do(intent)
    convert, under_way = converter_of(do), run.under_way
    under_way.begin()
    try:
        kind, value = await under_way.in_thread(run.begin, name, EFFECT) or (None, None)
        if kind == EFFECT:
            return convert(run.named(name), value)
        found: Any = None
        if kind == INTENT:
            found = await probe(value)
        else:
            value = await under_way.in_thread(run.save, name, INTENT, intent)
        outcome = await do(value) if found is None else found
        return await under_way.in_thread(run.finish, name, EFFECT, outcome, convert)
    finally:
        under_way.end()


class Steps(dramatiq.Middleware):
    """Lets the actors of a worker have steps; they are kept through `notes`."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self._watch = Watch()

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        self._watch.workers.add(worker)

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        self._watch.workers.discard(worker)  # which may be stopped twice

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        message.steps = self
        if not self._watch.workers:
            self._watch.begin()

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: Any,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        if self._watch.runs:
            self._watch.end()

    def after_skip_message(self, broker: dramatiq.Broker, message: Any) -> None:
        self.after_process_message(broker, message)


class StepRun:
    """The steps of one run of a job."""

    def __init__(self, job: Delivery, notes: Notes) -> None:
        self._job = job
        self._notes = notes
        self.under_way = under_way_of(job)
        self._lock = threading.Lock()  # a coroutine may have several steps at once
        self._used: set[str] = set()
        self._stored: Mapping[str, bytes] | None = None
        self._sizes: dict[str, int] = {}

    def begin(self, name: str, kind: str) -> tuple[str, Any] | None:
        """What an earlier run has left of this step: its kind and value. Raises what `step` does."""
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            raise StepError(f"The name of a step must be 1 to {LONGEST_NAME} printable characters.")
        if self._job.cancelled:
            raise cancellation(self._job)
        with self._lock:
            if name in self._used:
                raise StepError(
                    f"There is a second {self.named(name)} in one run; give each its own name, "
                    "in a loop with a number."
                )
            self._used.add(name)
            stored = self._of_an_earlier_run(name)
        if stored is None:
            return None
        kept, value, *named = self._notes.open("step", self._job.job, stored)
        if named not in ([], [name]):
            raise ForgedMessage(f"what is stored as {self.named(name)} is another step of the job")
        if (kept == OUTCOME) != (kind == OUTCOME):
            raise StepError(
                f"The {self.named(name)} was stored as a {kept} and is used as a {kind} now; "
                "give it another name."
            )
        return kept, value

    def _of_an_earlier_run(self, name: str) -> bytes | None:
        stored = self._of_earlier_runs()
        if not stored:
            return None
        kept = stored.get(self._notes.stored_name(self._job.job, name))
        return kept if kept is not None else stored.get(name)  # of a release that hid no names

    def _of_earlier_runs(self) -> Mapping[str, bytes]:
        if self._stored is None:
            # A first delivery has nothing to find.
            self._stored = self._notes.steps(self._job.job) if self._job.job.token > 1 else {}
            self._sizes |= {name: len(kept) for name, kept in self._stored.items()}
        return self._stored

    def finish(self, name: str, kind: str, outcome: Any, convert: Converter) -> Any:
        """Store the outcome; returns it as later runs will get it."""
        if isawaitable(outcome):
            if callable(close := getattr(outcome, "close", None)):
                close()
            raise StepError(
                f"The {self.named(name)} got something to await: give the `async def` function itself."
            )
        return convert(self.named(name), self.save(name, kind, outcome))

    def named(self, name: str, what: str = "step") -> str:
        """What our errors call it. They are shown where the job's own values are not: of a private job so are
        the names of its steps."""
        return f"{what} (its name is private)" if self._job.secret else f"{what} {name!r}"

    def save(self, name: str, kind: str, value: Any) -> Any:
        """Store a value; returns its JSON form."""
        job = self._job.job
        # Of an encrypted job the store does not show the name, so it is kept beside.
        told = [kind, value, name] if self._job.secret else [kind, value]
        stored = self._notes.close("step", job, told)
        self._save(name, kind, stored)
        return self._notes.open("step", job, stored)[1]

    def _save(self, name: str, kind: str, stored: bytes) -> None:
        stored_name = self._notes.stored_name(self._job.job, name)
        self._check_size(name, stored_name, len(stored))
        deadline = time.monotonic() + SAVE_FOR_S
        while True:
            try:
                held = self._notes.save_step(
                    self._job.owner, self._job.job, stored_name, stored, lasting=kind != OUTCOME
                )
                break
            except StoreUnavailable:
                if time.monotonic() >= deadline:
                    raise
                threading.Event().wait(TRY_AGAIN_S)
        if not held:
            raise LeaseLost(
                f"{self.named(name)} is not stored: this process lost the lease of the job, "
                "and another one may run it"
            )

    def _check_size(self, name: str, stored_name: str, size: int) -> None:
        if size > MAX_OUTCOME:
            raise StepError(
                f"The outcome of {self.named(name)} takes {size:,} bytes, more than the {MAX_OUTCOME:,} "
                "allowed; store the data elsewhere and return where it is."
            )
        with self._lock:
            self._sizes[stored_name] = size
            total = sum(self._sizes.values())
        if total > MAX_OF_JOB:
            raise StepError(
                f"The steps of this job take {total:,} bytes, more than the {MAX_OF_JOB:,} allowed; return "
                "less from each, or part the work into several jobs."
            )


def _run_of_steps() -> StepRun | None:
    """The steps of the job that runs here; None outside a job."""
    job = running.get()
    if job is None:
        if Watch.a_job_may_run():
            raise StepError(
                "A step has no job here, in a process that runs jobs: a thread knows its job when it was "
                "started with contextvars.copy_context().run, as asyncio.to_thread does. Start it so, or "
                "call this in the thread of the actor; outside of jobs call the function itself."
            )
        return None
    if job.steps is None:
        # A plain call would do twice what must not be done twice.
        raise StepError("This worker keeps no steps: the setting middleware.without names them.")
    if job.step_run is None:
        with _making:
            job.step_run = job.step_run or StepRun(job, job.steps.notes)
    return cast(StepRun, job.step_run)


def _check_thread(what: str, run: StepRun, name: str) -> None:
    """A plain call waits for the store, up to SAVE_FOR_S seconds: not in the thread of an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise StepError(
        f"{run.named(name, what)} would hold up the event loop and every job on it: give the `async def` "
        f"function itself and await the {what}, or `await asyncio.to_thread({what}, …)`."
    )
