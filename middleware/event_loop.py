"""The loop that `async def` actors run on: Dramatiq's, for as long as something runs on it.

Dramatiq keeps one loop for a process. Where a second Worker begins there it forgets the first one's, whose
thread then keeps the process from ending; and it stops the loop under jobs that have outlived their Worker,
which could neither end nor be ended after that.
"""

import asyncio
import threading
from typing import ClassVar

import dramatiq
from dramatiq.asyncio import EventLoopThread, set_event_loop_thread
from dramatiq.middleware import AsyncIO

LOOK_EVERY_S = 0.25
#: So long, in seconds, a loop may take to begin. Dramatiq's one second is too short on a busy machine, and a
#: worker whose loop is late does not boot.
START_S = 30.0


class EventLoop(AsyncIO):
    """One loop for each Worker; new coroutines run on that of the Worker which began last."""

    _all: ClassVar[list[EventLoopThread]] = []

    def __init__(self) -> None:
        super().__init__()
        self._own: EventLoopThread | None = None

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        loop = EventLoopThread(self.logger)
        loop.daemon = True  # a process that ends does not wait for it
        loop.start(timeout=START_S)
        self._own = loop
        self._all.append(loop)
        set_event_loop_thread(loop)

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        own, self._own = self._own, None
        if own is None:
            return
        self._all.remove(own)
        set_event_loop_thread(self._all[-1] if self._all else None)
        if asyncio.all_tasks(own.loop):
            args = (own,)
            threading.Thread(
                target=_stop_when_idle, args=args, name="callboard-loop-end", daemon=True
            ).start()
        else:
            _stop(own)


def _stop_when_idle(loop: EventLoopThread) -> None:
    pause = threading.Event()
    while asyncio.all_tasks(loop.loop):
        pause.wait(LOOK_EVERY_S)
    _stop(loop)


def _stop(loop: EventLoopThread) -> None:
    loop.stop()  # type: ignore[no-untyped-call]
    loop.join()
