"""The acts of the demo. Everything is sent with `actor.send()` and run by the workers."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from control.demo.screen import Screen
from control.demo.stage import DemoFailed, Stage
from jobs.model import Job
from jobs.states import JobState

if TYPE_CHECKING:
    from dramatiq import Message

    from actors.composition import App

LOOK_EVERY_S = 0.1
QUICK_BACKOFF = {"type": "fixed", "delay": 700}
#: How far the sync must be when its worker is killed, in percent.
KILL_AT = 55


@dataclass
class Story:
    """Sends jobs and follows them. `deadline` is a monotonic time."""

    app: "App"
    stage: Stage
    screen: Screen
    deadline: float
    titles: dict[str, str] = field(default_factory=dict)
    killed: str = ""

    def play(self) -> None:
        """All acts. Raises DemoFailed when one does not end as it must."""
        from actors.email import email_sync

        self.screen.say("\n[bold]1. A mailbox is synced[/] over IMAP; a larger one is synced beside it")
        inbox = self._sent("sync inbox", email_sync.send(user_id="ada", account_id="inbox"))
        archive = self._sent("sync archive", email_sync.send(user_id="ada", account_id="archive"))
        self._until(lambda: self._job(inbox).state.settled, "the inbox was not synced")
        reports = self._reports(self._new_messages(inbox))
        webhooks, refused = self._webhooks()
        self._kill_worker_of(archive)
        everything = [inbox, archive, refused, *reports, *webhooks]
        self._until(lambda: all(self._job(job).state.settled for job in everything), "some jobs did not end")
        for job_id in everything:
            wanted = JobState.FAILED if job_id == refused else JobState.COMPLETED
            self._expect(job_id, wanted)
        if self._job(archive).lost_leases != 1:
            raise DemoFailed("The archive was synced without losing its worker; run the demo again.")

    def jobs(self) -> list[tuple[str, Job]]:
        """Title and present state of every job that was sent."""
        return [(title, self._job(job_id)) for job_id, title in self.titles.items()]

    def _reports(self, messages: int) -> list[str]:
        from actors.reports import report_generate

        self.screen.say("[bold]2. Reports are rendered[/] as PDF, spreadsheet and CSV from the synced mail")
        report = _report(self.app, messages)
        return [
            self._sent(
                f"report {kind}", report_generate.send(kind="client_overview", format=kind, report=report)
            )
            for kind in ("pdf", "xlsx", "csv")
        ]

    def _webhooks(self) -> tuple[list[str], str]:
        from actors.webhooks import webhook_deliver

        self.screen.say(
            "[bold]3. Webhooks are delivered[/] to a receiver that fails twice; one is refused for good"
        )

        def send(endpoint: str, number: int) -> "Message[Any]":
            return webhook_deliver.send_with_options(
                kwargs={"endpoint_id": endpoint, "event": "report.ready", "data": {"number": number}},
                backoff=QUICK_BACKOFF,
            )

        delivered = [self._sent(f"webhook {number}", send("crm", number)) for number in range(1, 5)]
        return delivered, self._sent("webhook refused", send("legacy", 5))

    def _kill_worker_of(self, job_id: str) -> None:
        def far_enough() -> bool:
            job = self._job(job_id)
            if job.state.settled:
                raise DemoFailed(
                    "The archive was synced before its worker could be killed; run the demo again."
                )
            return job.owner is not None and _percent(job) >= KILL_AT

        self._until(far_enough, "the archive's sync did not get far")
        job = self._job(job_id)
        assert job.owner is not None
        pid = int(job.owner.split(":")[1])
        number = self.stage.worker_of(pid)
        os.kill(pid, signal.SIGKILL)
        self.killed = f"worker-{number} (process {pid})"
        self.screen.say(
            f"[bold]4. {self.killed} is killed[/] with SIGKILL at {_percent(job):.0f}% of the archive; "
            "its lease runs out, another worker goes on"
        )

    def _sent(self, title: str, message: "Message[Any]") -> str:
        self.titles[message.message_id] = title
        return message.message_id

    def _until(self, done: Callable[[], bool], otherwise: str) -> None:
        while not done():
            if time.monotonic() > self.deadline:
                raise DemoFailed(f"Time is over: {otherwise}. The logs are in {self.stage.home}.")
            self.screen.show(self.jobs())
            time.sleep(LOOK_EVERY_S)
        self.screen.show(self.jobs())

    def _job(self, job_id: str) -> Job:
        job = self.app.store.get(job_id)
        if job is None:
            raise DemoFailed(f"Job {job_id} is nowhere, which must never be.")
        return job

    def _expect(self, job_id: str, state: JobState) -> None:
        job = self._job(job_id)
        if job.state is not state:
            error = orjson.loads(job.record).get("error", {}) if job.record else {}
            reason = error.get("message", "no reason was kept")
            raise DemoFailed(f"{self.titles[job_id]} is {job.state}, not {state}: {reason}.")

    def _new_messages(self, job_id: str) -> int:
        self._expect(job_id, JobState.COMPLETED)
        record = self._job(job_id).record
        return int(orjson.loads(record)["result"]["new"]) if record else 0


def _percent(job: Job) -> float:
    return float(orjson.loads(job.progress).get("percent", 0)) if job.progress else 0.0


def _report(app: "App", messages: int) -> dict[str, Any]:
    """Who wrote how much, from the database that the sync has just filled."""
    from database.mailboxes import Mailboxes

    senders = Mailboxes(app.engine()).senders("inbox", limit=40)
    rows = [[sender, count, size] for sender, count, size in senders]
    return {
        "title": "Mail by sender",
        "subtitle": "Who writes most to this mailbox",
        "tenant": "Demo",
        "period": f"{messages} messages",
        "columns": [
            {"title": "Sender"},
            {"title": "Messages", "kind": "number"},
            {"title": "Bytes", "kind": "number"},
        ],
        "rows": rows,
        "totals": ["All listed", sum(row[1] for row in rows), sum(row[2] for row in rows)],
        "notes": ["Rendered by report_generate from what email_sync stored."],
    }
