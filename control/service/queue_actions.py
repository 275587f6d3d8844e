"""Emptying queues: drain, clean, obliterate. Always in chunks, so that the server is never held up."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from control.service.errors import NotConfirmed
from control.service.journal import acting, record
from control.service.names import one_queue
from control.service.operator_views import Removal
from control.service.requests import CHUNK, Chunks, CleanRequest, DrainRequest, ObliterateRequest
from jobs.states import JobState

if TYPE_CHECKING:
    from actors.composition import App


class QueueActions:
    """Each verb once for a bounded number of jobs, and once as a run of chunks until nothing is left.

    A run yields how many each chunk removed; closing it ends it, and what it did is in the journal.
    All raise UnknownQueue and StoreUnavailable. `by` is who does it.
    """

    def __init__(self, app: "App", by: str) -> None:
        self._app = app
        self._by = by

    def drain(self, queue: str, request: DrainRequest) -> Removal:
        """Remove jobs that wait, and those that are delayed unless `delayed` is false."""
        return _removal(
            self._name(queue), self.drain_all(queue, request.delayed, request.limit), request.limit
        )

    def drain_all(self, queue: str, delayed: bool = True, limit: int | None = None) -> Chunks:
        """The same in chunks, up to `limit`."""
        name = self._name(queue)

        def step(size: int) -> int:
            return self._app.store.drain(name, delayed=delayed, limit=size)

        return self._run("queue.drain", name, step, limit, delayed=delayed)

    def clean(self, queue: str, request: CleanRequest) -> Removal:
        """Remove jobs of one state, the oldest first."""
        return _removal(self._name(queue), self.clean_all(queue, request, request.limit), request.limit)

    def clean_all(self, queue: str, request: CleanRequest, limit: int | None = None) -> Chunks:
        """The same in chunks, up to `limit`; the request's own limit does not count."""
        name, state = self._name(queue), JobState(request.state)

        def step(size: int) -> int:
            return self._app.store.clean(name, state, request.older_than_ms, request.keep, size)

        facts = {"state": request.state, "older_than_ms": request.older_than_ms, "keep": request.keep}
        return self._run("queue.clean", name, step, limit, **facts)

    def obliterate(self, queue: str, request: ObliterateRequest) -> Removal:
        """Remove everything of a queue but what runs. Raises NotConfirmed."""
        chunks = self.obliterate_all(queue, request.confirm, request.limit)
        return _removal(self._name(queue), chunks, request.limit)

    def obliterate_all(self, queue: str, confirm: str, limit: int | None = None) -> Chunks:
        """The same in chunks, up to `limit`; when no job is left its changed rules go too.

        What runs stays, and a dead letter whose audit row is not stored yet.
        """
        name = self._name(queue)
        if confirm != name:
            raise NotConfirmed(
                f"confirm: to remove everything of the queue, confirm with its name, which is {name}"
            )

        def step(size: int) -> int:
            removed = self._app.store.obliterate(name, size)
            if removed == 0:
                self._forget_rules(name)
            return removed

        return self._run("queue.obliterate", name, step, limit)

    def _name(self, queue: str) -> str:
        return one_queue(self._app, queue)

    def _forget_rules(self, queue: str) -> None:
        from database.adjustments import Adjustments

        (left,) = self._app.store.stats([queue])
        if left.active or left.failed or left.waiting or left.delayed:
            return  # what is left still goes by them
        Adjustments(self._app.engine()).forget(queue)
        for scope, changes in self._app.store.adjustments().items():
            if scope.queue == queue:
                self._app.store.adjust(scope, dict.fromkeys(changes))

    def _run(
        self, action: str, queue: str, step: Callable[[int], int], limit: int | None, **facts: object
    ) -> Chunks:
        done = 0
        with acting(self._app, self._by, action, target=queue, parameters={"limit": limit, **facts}) as deed:
            try:
                while limit is None or done < limit:
                    removed = step(CHUNK if limit is None else min(CHUNK, limit - done))
                    if not removed:
                        return
                    done += removed
                    yield removed
            finally:
                deed.count = done
                record(self._by, action, queue=queue, removed=done, **facts)


def _removal(queue: str, chunks: Chunks, limit: int) -> Removal:
    removed = sum(chunks)
    return Removal(queue=queue, removed=removed, more=removed >= limit)
