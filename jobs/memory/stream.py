"""The event stream of the in-memory store, with readers that each get everything."""

from collections import defaultdict
from collections.abc import Sequence

from jobs.model import Event, EventBatch, Job, Verdict
from jobs.states import JobState


class Stream:
    """Not safe for threads by itself; the store holds its lock."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._pending: dict[str, dict[str, Event]] = defaultdict(dict)
        self._position: dict[str, int] = defaultdict(int)
        self._last = 0

    def append(self, job: Job, verdict: Verdict, state: JobState, now: int) -> None:
        """`job` as it was while it ran; `state` is what follows."""
        self._last += 1
        self._events.append(
            Event(
                id=str(self._last),
                job_id=job.id,
                queue=job.queue,
                actor=job.actor,
                lane=job.lane,
                outcome=verdict.outcome,
                state=state,
                attempt=job.attempts,
                token=verdict.token,
                owner=job.owner or "",
                created_at=job.created_at,
                ready_at=job.ready_at or 0,
                started_at=job.started_at or 0,
                finished_at=now,
                detail=verdict.detail,
            )
        )

    def has_news(self, reader: str) -> bool:
        return bool(self._pending[reader]) or self._position[reader] < self._last

    def read(self, reader: str, limit: int) -> EventBatch:
        """First what was read and not acknowledged, else what is new."""
        events = list(self._pending[reader].values())[:limit]
        if not events:
            events = [event for event in self._events if int(event.id) > self._position[reader]][:limit]
            self._pending[reader].update({event.id: event for event in events})
            if events:
                self._position[reader] = int(events[-1].id)
        unread = self._last - self._position[reader]
        return EventBatch(events, lag=unread + len(self._pending[reader]))

    def acknowledge(self, reader: str, ids: Sequence[str]) -> None:
        """Drop what every reader has dealt with."""
        for event_id in ids:
            self._pending[reader].pop(event_id, None)
        done = min(self._position.values(), default=0)
        waiting = {event_id for events in self._pending.values() for event_id in events}
        self._events = [event for event in self._events if int(event.id) > done or event.id in waiting]
