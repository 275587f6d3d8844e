"""The supervisor's loop: start, restart with backoff, and stop in order."""

import signal
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from control.supervisor.children import Child, ChildSpec
from control.supervisor.output import Terminal

STOP_LIMIT = 60.0  # seconds, CATALOGUE section 1
LOOK_EVERY = 1.0  # seconds
READY_EVERY = 0.1  # seconds, until everything is up
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Keeps children alive until it is told to stop. `say` writes a line of its own."""

    def __init__(self, specs: Sequence[ChildSpec], *, stop_limit: float = STOP_LIMIT) -> None:
        # SimpleQueue, because a signal handler may interrupt a put of the same thread.
        self._news: SimpleQueue[Child | int] = SimpleQueue()
        self.terminal = Terminal(on_lost=lambda: self._news.put(signal.SIGHUP))
        self._children = [Child(spec, self.terminal, self._news.put) for spec in specs]
        self._stop_limit = stop_limit

    def say(self, text: str) -> None:
        for line in text.splitlines():
            self.terminal.line("callboard", line)

    def run(
        self,
        ready: Callable[[], bool] = lambda: True,
        on_ready: Callable[[], None] = lambda: None,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        """Run until SIGINT, SIGTERM or SIGHUP, then drain.

        `on_ready` is called once, when `ready` holds; `look` about once a second.
        """
        before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            for child in self._children:
                child.start()
            self._keep_alive(ready, on_ready, look)
            self._drain()
        finally:
            for child in self._children:
                child.kill()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> Any:
        self._news.put(number)

    def _keep_alive(
        self, ready: Callable[[], bool], on_ready: Callable[[], None], look: Callable[[], None]
    ) -> None:
        announced = False
        while True:
            if not announced and ready():
                announced = True
                on_ready()
            news = self._next(self._pause(announced))
            if isinstance(news, int):
                return
            if news is not None:
                self.say(news.note_exit())
            look()
            for child in self._children:
                if child.restart_at is not None and child.restart_at <= time.monotonic():
                    child.start()

    def _pause(self, announced: bool) -> float:
        """Seconds until something must be done even without news."""
        due = [child.restart_at for child in self._children if child.restart_at is not None]
        first = min(due, default=float("inf")) - time.monotonic()
        return max(0.0, min(first, LOOK_EVERY if announced else READY_EVERY))

    def _drain(self) -> None:
        running = {child for child in self._children if child.running}
        if not running:
            return
        names = ", ".join(child.spec.name for child in self._children if child in running)
        self.say(f"stopping {names}; running jobs may finish (Ctrl-C again hurries)")
        for child in running:
            child.stop()
        deadline = time.monotonic() + self._stop_limit
        while running:
            news = self._next(max(0.0, deadline - time.monotonic()))
            if isinstance(news, Child):
                running.discard(news)
                continue
            if news == signal.SIGHUP:
                continue  # a closing terminal says so twice; that is no hurry
            late = ", ".join(sorted(child.spec.name for child in running))
            why = "as asked" if news is not None else f"after {self._stop_limit:.0f} s"
            self.say(f"ending {late} {why}; unfinished jobs go back to their queue")
            return

    def _next(self, timeout: float) -> Child | int | None:
        try:
            return self._news.get(timeout=timeout)
        except Empty:
            return None
