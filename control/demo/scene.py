"""What all acts of the demo stand on: jobs are sent, followed on the screen, and must end as is said."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from control.demo.screen import Screen, Shown
from control.demo.stage import DemoFailed, Stage
from control.service.reading import failed_reason
from jobs.model import Job
from jobs.states import JobState

if TYPE_CHECKING:
    from dramatiq import Message

    from actors.composition import App

LOOK_EVERY_S = 0.1


@dataclass
class Part:
    """Jobs that were sent together under one title. `before` counts attempts before a replay, which the jobs
    themselves count anew."""

    title: str
    ids: list[str]
    ends: JobState
    before: int = 0


@dataclass
class Scene:
    """`by` is the operator, for the journal; `deadline` is a monotonic time."""

    app: "App"
    stage: Stage
    screen: Screen
    by: str
    deadline: float
    parts: list[Part] = field(default_factory=list)
    killed: str = ""
    files: list[str] = field(default_factory=list)
    _act: int = 0
    _watched: list[Part] = field(default_factory=list)

    def begin(self, what: str, how: str) -> None:
        """Begin an act. `what` happens stands in bold, before a colon and `how`."""
        self._act += 1
        self._watched = [part for part in self._watched if not self.ended(part)]
        self.screen.begin(f"[bold]{self._act}. {what}:[/] {how}")

    def sent(self, title: str, *messages: "Message[Any]", ends: JobState = JobState.COMPLETED) -> Part:
        """Follow what was sent, under a title; it must end as `ends`."""
        part = Part(title, [message.message_id for message in messages], ends)
        self.parts.append(part)
        self._watched.append(part)
        return part

    def say(self, text: str) -> None:
        """A sentence of the act."""
        self.screen.say(text)

    def typed(self, command: str) -> None:
        """What a person types for what is done now."""
        self.screen.typed(command)

    def until(self, done: Callable[[], bool], otherwise: str) -> None:
        """Draw what goes on until `done()`. Raises DemoFailed when the time of the demo is over."""
        while not done():
            if time.monotonic() > self.deadline:
                raise DemoFailed(f"Time is over: {otherwise}. The logs are in {self.stage.home}.")
            self._show()
            time.sleep(LOOK_EVERY_S)
        self._show()

    def jobs(self, part: Part) -> list[Job]:
        """The jobs of a part as they are now."""
        return [self._job(job_id) for job_id in part.ids]

    def job(self, part: Part) -> Job:
        """The one job of a part."""
        return self._job(part.ids[0])

    def ended(self, *parts: Part) -> bool:
        return all(job.state.settled for part in parts for job in self.jobs(part))

    def until_ended(self, *parts: Part) -> None:
        """Wait for the end of parts. Raises DemoFailed unless each job ends as it must."""
        titles = ", ".join(part.title for part in parts)
        self.until(lambda: self.ended(*parts), f"these did not end: {titles}")
        for part in parts:
            for job in self.jobs(part):
                if job.state is not part.ends:
                    reason = failed_reason(job) or "no reason was kept"
                    raise DemoFailed(f"{part.title} is {job.state}, not {part.ends}: {reason}.")

    def result(self, part: Part) -> Any:
        """What the one job of a part returned, opened where it is encrypted."""
        record = self.app.broker.notes.opened(self.job(part)).record
        return orjson.loads(record).get("result") if record else None

    def _show(self) -> None:
        self.screen.show([Shown(part.title, self.jobs(part)) for part in self._watched])

    def _job(self, job_id: str) -> Job:
        job = self.app.store.get(job_id)
        if job is None:
            raise DemoFailed(f"Job {job_id} is nowhere, which must never be.")
        return job
