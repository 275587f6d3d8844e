"""The steps of one run that have not ended yet.

An actor may end before its steps have: `asyncio.gather` raises what the first of them raised, and the others
go on, and so does a thread that nobody waits for. A retry that began meanwhile would do those a second time,
so the attempt ends when they have.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from jobs.errors import LeaseLost
from middleware.delivery import Delivery

R = TypeVar("R")


class StepsUnderWay:
    """Counts them, on the event loop and in threads; a worker's thread waits until there are none."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0
        self._ended = False
        self._tasks: list[tuple[asyncio.Task[Any] | None, asyncio.AbstractEventLoop]] = []

    def begin(self) -> None:
        """A step begins in this task. Raises LeaseLost when the run that it belongs to has ended."""
        with self._changed:
            self._check_and_count()
            self._tasks.append((asyncio.current_task(), asyncio.get_running_loop()))

    def end(self) -> None:
        """It has ended, in whatever way."""
        with self._changed:
            self._count -= 1
            self._tasks.remove((asyncio.current_task(), asyncio.get_running_loop()))
            self._changed.notify_all()

    @contextmanager
    def in_this_thread(self) -> Iterator[None]:
        """A step of a plain function. Raises LeaseLost as `begin` does."""
        with self._changed:
            self._check_and_count()
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

    def wait(self, job: Delivery) -> None:
        """Until there are none, and none begins any more. What interrupts the job meanwhile, as its time
        limit does, cancels them."""
        with self._changed:
            if self._count:
                job.stop_coroutine = self._cancel
        try:
            if job.interrupted is not None:
                self._cancel()
            with self._changed:
                self._changed.wait_for(lambda: not self._count)
                self._ended = True
        finally:
            job.stop_coroutine = None

    def _check_and_count(self) -> None:
        if self._ended:
            raise LeaseLost("the attempt that this step belongs to has ended; another one may run")
        self._count += 1

    def _call_ended(self, call: "asyncio.Future[Any]") -> None:
        if not call.cancelled():
            call.exception()  # where its step was cancelled nobody asks
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def _cancel(self) -> None:
        with self._changed:
            tasks = list(self._tasks)
        for task, loop in tasks:
            if task is not None:
                loop.call_soon_threadsafe(task.cancel)
