"""`email_sync` over real IMAP: only what is new, stored once, with a row in the history."""

from typing import Any

import pytest

import actors.email
from actors.email import email_sync
from broker.testing import FakeJobs
from control.demo.peers.mail import write_maildir
from database.mailboxes import Mailboxes
from jobs.model import Job
from jobs.states import JobState
from tests.actors.conftest import SetUp, as_settings, from_json
from tests.integrations.peers import MailServer, mail_server
from tests.ports import free_port

NEW_MAIL = b"From: harbour@pilots.example\nSubject: Slot 14\nMessage-ID: <14@pilots.example>\n\nAt noon.\n"


def sync(jobs: FakeJobs, account: str = "inbox", **options: Any) -> Job:
    """Send one sync and run it once; the job as it is then."""
    message = email_sync.send_with_options(kwargs={"user_id": "ada", "account_id": account}, **options)
    jobs.run_all()
    job = jobs.store.get(message.message_id)
    assert job is not None
    return job


def error_of(job: Job) -> dict[str, str]:
    return dict(from_json(job.record)["error"])


@pytest.fixture
def milestones(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every progress that the actor reports; the store sees only ten a second."""
    reported: list[float] = []
    real = actors.email.progress

    def noted(done: float, total: float = 100, message: str = "") -> None:
        reported.append(round(done, 1))
        real(done, total, message)

    monkeypatch.setattr(actors.email, "progress", noted)
    return reported


def test_the_second_sync_reads_only_what_came_since(
    set_up: SetUp, jobs: FakeJobs, tmp_path_factory: pytest.TempPathFactory
) -> None:
    maildir = tmp_path_factory.mktemp("mail") / "inbox"
    write_maildir(maildir, count=10)
    with mail_server(maildir) as server:
        app = set_up(mailboxes={"inbox": as_settings(server)})
        first, second = sync(jobs), sync(jobs)
        server.receive(NEW_MAIL, "1.new.callboard")
        third = sync(jobs)

        results = [from_json(job.record)["result"] for job in (first, second, third)]
        assert results == [{"new": 10, "total": 10}, {"new": 0, "total": 10}, {"new": 1, "total": 11}]

        # The server numbers the folder anew: every UID is void, and all is read again.
        uid_list = maildir / "dovecot-uidlist"
        lines = uid_list.read_text().split(" ")
        uid_list.write_text(" ".join([lines[0], "V1900000000", *lines[2:]]))
        assert from_json(sync(jobs).record)["result"] == {"new": 11, "total": 11}

    mailboxes = Mailboxes(app.engine())
    assert mailboxes.count_messages("inbox", "INBOX") == 11
    history = mailboxes.sync_history("inbox")
    assert [(row.status, row.messages_new, row.messages_total, row.user_id) for row in history] == [
        ("completed", 11, 11, "ada"),
        ("completed", 1, 11, "ada"),
        ("completed", 0, 10, "ada"),
        ("completed", 10, 10, "ada"),
    ]
    assert history[-1].job_id == first.id


def test_a_sync_tells_how_far_it_is(
    set_up: SetUp, jobs: FakeJobs, inbox: MailServer, milestones: list[float]
) -> None:
    set_up(mailboxes={"inbox": as_settings(inbox)})
    job = sync(jobs)

    assert milestones[:4] == [5, 10, 20, 40]
    assert milestones[-2:] == [95, 100]
    assert milestones == sorted(milestones)
    assert len(milestones) == 8, "one for each batch of 50 in between"
    assert from_json(job.progress)["message"] == "120 new messages"

    milestones.clear()
    sync(jobs)
    assert milestones == [5, 10, 20, 40, 95, 100], "also when nothing is new"


def test_mail_of_one_tenant_is_not_anothers(set_up: SetUp, jobs: FakeJobs, inbox: MailServer) -> None:
    app = set_up(mailboxes={"inbox": as_settings(inbox)})
    sync(jobs, tenant_id="acme")

    assert Mailboxes(app.engine(), "acme").count_messages("inbox") == 120
    assert Mailboxes(app.engine(), "other").count_messages("inbox") == 0
    assert Mailboxes(app.engine()).count_messages("inbox") == 0


def test_an_account_that_the_settings_do_not_know_is_a_permanent_failure(jobs: FakeJobs) -> None:
    job = sync(jobs, "inbx")
    assert (job.state, job.attempts) == (JobState.FAILED, 1)
    assert error_of(job)["message"] == (
        "There is no mailbox of the name given in account_id; add [mailboxes.NAME] to the settings."
    )


def test_a_wrong_password_is_a_permanent_failure_and_told_nowhere(
    set_up: SetUp, jobs: FakeJobs, inbox: MailServer
) -> None:
    app = set_up(mailboxes={"inbox": as_settings(inbox, password="wrong horse")})
    job = sync(jobs)

    assert (job.state, job.attempts) == (JobState.FAILED, 1)
    assert b"wrong horse" not in (job.record or b"")
    (row,) = Mailboxes(app.engine()).sync_history("inbox")
    assert (row.status, row.error) == ("failed", error_of(job)["type"])


def test_a_server_that_is_away_is_tried_again_and_the_history_keeps_one_row(
    set_up: SetUp, jobs: FakeJobs, inbox: MailServer
) -> None:
    app = set_up(mailboxes={"inbox": as_settings(inbox, port=free_port())})
    job = sync(jobs)
    assert (job.state, job.attempts) == (JobState.DELAYED, 1)
    assert (job.due_at or 0) - job.created_at == 5_000  # CATALOGUE: exponential 5 s
    (row,) = Mailboxes(app.engine()).sync_history("inbox")
    assert (row.status, row.error) == ("failed", "TransientFailure")

    set_up(mailboxes={"inbox": as_settings(inbox)})
    jobs.advance(5)
    assert jobs.run_all() == 1
    (row,) = Mailboxes(app.engine()).sync_history("inbox")
    assert (row.job_id, row.status, row.error, row.messages_new) == (job.id, "completed", None, 120)
