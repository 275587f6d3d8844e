"""What the actor of a run has begun and not ended: its steps, and its blocks of `with limit(…)`.

An actor may end before these have: `asyncio.gather` raises what the first task raised, and the others go on,
and so does a thread that nobody waits for. A retry that began meanwhile would do those steps a second time,
and a permit that ended meanwhile would let another job in beside the block. So the run ends when they have.
"""

import asyncio
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar

from jobs.errors import LeaseLost
from middleware.delivery import Delivery

R = TypeVar("R")

#: Blocks that nobody will leave tell nobody; so often they are looked for, in seconds.
LOOK_EVERY_S = 0.1

_making = threading.Lock()


def under_way_of(job: Delivery) -> "UnderWay":
    """What is under way in a run. Its threads may ask at the same time."""
    found: UnderWay | None = job.under_way
    if found is None:
        with _making:
            found = job.under_way = job.under_way or UnderWay()
        # In this order: who ends the run says so and looks then.
        if job.over:
            found.ended_in = job.over
    return found


class UnderWay:
    """Counts it, on the event loop and in threads; a worker's thread waits until there is nothing."""

    def __init__(self) -> None:
        self.ended_in = 0  # the thread of the run, which decides its end alone once nothing is under way
        self._changed = threading.Condition()
        self._count = 0
        self._tasks: list[tuple[asyncio.Task[Any] | None, asyncio.AbstractEventLoop]] = []
        self._blocks: set[Block] = set()

    def begin(self) -> None:
        """A step begins in this task. Raises LeaseLost when the run that it belongs to has ended."""
        with self._changed:
            self._check()
            self._count += 1
            self._tasks.append((asyncio.current_task(), asyncio.get_running_loop()))

    def end(self) -> None:
        """It has ended, in whatever way."""
        with self._changed:
            self._count -= 1
            self._tasks.remove((asyncio.current_task(), asyncio.get_running_loop()))
            self._changed.notify_all()

    @contextmanager
    def in_this_thread(self) -> Iterator[None]:
        """A call in this thread, such as a step of a plain function. Raises LeaseLost as `begin` does."""
        with self._changed:
            self._check()
            self._count += 1
        try:
            yield
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()

    async def in_thread(self, call: Callable[..., R], *args: Any) -> R:
        """`call(*args)` in a thread of the loop's; it counts until it has ended, also where nobody awaits it
        any more: what it stores must be stored before the next attempt looks."""
        with self._changed:
            self._count += 1
        inner = asyncio.ensure_future(asyncio.to_thread(call, *args))
        inner.add_done_callback(self._call_ended)
        return await asyncio.shield(inner)

    def enter(self) -> "Block":
        """A block begins here, which is open until `leave`. Raises LeaseLost as `begin` does."""
        block = Block()
        with self._changed:
            self._check()
            self._blocks.add(block)
        return block

    def leave(self, block: "Block") -> None:
        """It has been left."""
        block.left()
        with self._changed:
            self._blocks.discard(block)
            self._changed.notify_all()

    def wait(self, job: Delivery) -> None:
        """Until nothing is under way, and nothing begins any more. What interrupts the job meanwhile, as its
        time limit does, cancels its tasks. Blocks of the thread that waits do not count: they are a hook's,
        or of a generator that was left half-way."""
        job.stop_coroutine = self._cancel
        try:
            if job.interrupted is not None:
                self._cancel()
            with self._changed:
                while self._count or any(block.is_open() for block in list(self._blocks)):
                    self._changed.wait(LOOK_EVERY_S if self._blocks else None)
                self.ended_in = threading.get_ident()
        finally:
            job.stop_coroutine = None

    def _check(self) -> None:
        if self.ended_in and self.ended_in != threading.get_ident():
            raise LeaseLost("the attempt that this belongs to has ended; another one may run")

    def _call_ended(self, call: "asyncio.Future[Any]") -> None:
        if not call.cancelled():
            call.exception()  # where its step was cancelled nobody asks
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def _cancel(self) -> None:
        with self._changed:
            tasks = [*self._tasks, *(block.in_task for block in self._blocks if block.in_task is not None)]
        for task, loop in tasks:
            if task is not None:
                with suppress(RuntimeError):  # the loop was closed by the end of the process
                    loop.call_soon_threadsafe(task.cancel)


class _Mark:
    """Lives as long as the context that a block was entered in."""

    def __init__(self, outer: "_Mark | None") -> None:
        self.outer = outer


_mark: ContextVar[_Mark | None] = ContextVar("callboard_block", default=None)


class Block:
    """One `with limit(…)`, in the thread or the task that has entered it.

    A generator that is kept half-way never leaves its own. So a block is open for no longer than its task,
    its thread, or in a thread of a pool the call in the job's context, whose end nothing else tells.
    """

    def __init__(self) -> None:
        self.in_task = _task_here()
        self._thread = threading.current_thread()
        self._mark: weakref.ref[_Mark] | None = None
        if self.in_task is None:
            mark = _Mark(_mark.get())
            _mark.set(mark)
            self._mark = weakref.ref(mark)

    def is_open(self) -> bool:
        """Whether something may still be inside, that is not the thread which asks."""
        if self.in_task is not None:
            return not self.in_task[0].done()
        if self._thread is threading.current_thread() or not self._thread.is_alive():
            return False
        return self._mark is not None and self._mark() is not None

    def left(self) -> None:
        mark = self._mark() if self._mark is not None else None
        if mark is not None and _mark.get() is mark:
            _mark.set(mark.outer)


def _task_here() -> tuple[asyncio.Task[Any], asyncio.AbstractEventLoop] | None:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return None
    return None if task is None else (task, task.get_loop())
