"""What Dramatiq's worker threads take their jobs from, in place of its PriorityQueue.

`holdings` starts a job only when a thread is free, so there is no order to keep here. The job that follows on
one that has just ended is taken by the thread that ran it: no lock, and nobody is woken for it.
"""

import threading
from collections import deque
from contextlib import suppress
from queue import Empty

from dramatiq.broker import MessageProxy


class Item:
    """As Dramatiq's workers expect it."""

    __slots__ = ("message",)

    def __init__(self, message: MessageProxy) -> None:
        self.message = message


class WorkQueue:
    """What Dramatiq's Worker and its threads ask of a queue."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._idle: deque[threading.Lock] = deque()  # each is let go for a thread that waits
        self._own: dict[int, Item | None] = {}  # what each worker thread takes next, by its number
        self._lock = threading.Lock()
        self._all_done = threading.Condition(self._lock)
        self.unfinished_tasks = 0

    def put(self, item: Item) -> None:
        """Add a job. A worker thread gets what it puts in itself, when it asks next."""
        with self._lock:
            self.unfinished_tasks += 1
        thread = threading.get_ident()
        # None: it is a worker thread, and has nothing to take yet.
        if self._own.get(thread, item) is None:
            self._own[thread] = item
        else:
            self._items.append(item)
            self._wake_one()

    def get(self, timeout: float | None = None) -> Item:
        """The next job; raises queue.Empty. Whoever waits here is a worker thread from then on."""
        thread = threading.get_ident()
        item = self._own.get(thread)
        self._own[thread] = None
        return self._wait(timeout) if item is None else item

    def _wait(self, timeout: float | None) -> Item:
        # Not SimpleQueue's own: its `get` outlasts its time-out, even for ever, where another thread took the
        # item that it was woken for.
        with suppress(IndexError):
            return self._items.popleft()
        called = threading.Lock()
        called.acquire()
        self._idle.append(called)
        try:
            if not self._items:  # who put one before the line above called nobody
                called.acquire(timeout=-1 if timeout is None else timeout)
        finally:
            self._leave(called)
        try:
            return self._items.popleft()
        except IndexError:
            raise Empty from None

    def _leave(self, called: threading.Lock) -> None:
        try:
            self._idle.remove(called)
        except ValueError:  # it was called, perhaps for one that another thread has taken since
            if len(self._items) > 1:
                self._wake_one()

    def _wake_one(self) -> None:
        with suppress(IndexError):  # all are at work, and look before they wait
            self._idle.popleft().release()

    def get_nowait(self) -> Item:
        """What is left when the worker threads have ended, also what one of them was to take next; raises
        queue.Empty."""
        for thread in list(self._own):
            if (item := self._own.pop(thread)) is not None:
                return item
        try:
            return self._items.popleft()
        except IndexError:
            raise Empty from None

    def task_done(self) -> None:
        """One job has ended."""
        with self._lock:
            self.unfinished_tasks -= 1
            if not self.unfinished_tasks:
                self._all_done.notify_all()

    def join(self) -> None:
        """Wait until all jobs have ended."""
        with self._all_done:
            while self.unfinished_tasks:
                self._all_done.wait()
