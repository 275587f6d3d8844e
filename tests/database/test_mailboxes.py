"""Mailboxes: messages and cursor move together, and repeating changes nothing."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Engine, select

from database.engine import read_session
from database.errors import DatabaseUnavailable, MailboxRenumbered
from database.mailboxes import Cursor, Mailboxes
from database.models import StoredMessage
from tests.database.conftest import Outage, engine_at


@dataclass(frozen=True)
class Mail:
    """As the IMAP client hands it over."""

    uid: int
    message_id: str = "<1@example.org>"
    subject: str = "Lunch"
    from_address: str = "ann@example.org"
    to: str | tuple[str, ...] = ("bob@example.org", "eve@example.org")
    date: datetime | None = datetime(2026, 3, 1, 13, 30, tzinfo=timezone(timedelta(hours=1)))
    size: int = 2_048
    flags: str | tuple[str, ...] = ()
    snippet: str = "At noon?"
    has_attachments: bool = False
    important: bool = False


def mails(*uids: int) -> list[Mail]:
    return [Mail(uid, message_id=f"<{uid}@example.org>") for uid in uids]


def stored(engine: Engine) -> list[StoredMessage]:
    with read_session(engine) as session:
        return list(session.scalars(select(StoredMessage).order_by(StoredMessage.uid)))


@pytest.fixture
def mailboxes(engine: Engine) -> Mailboxes:
    return Mailboxes(engine)


def test_a_folder_never_read_has_no_cursor(mailboxes: Mailboxes) -> None:
    assert mailboxes.cursor("a1", "INBOX") is None


def test_a_batch_leaves_its_messages_and_the_cursor(mailboxes: Mailboxes, engine: Engine) -> None:
    assert mailboxes.store_batch("a1", "INBOX", 7, 3, [Mail(2, flags=("\\Seen", "\\Flagged")), Mail(1)]) == 2
    assert mailboxes.cursor("a1", "INBOX") == Cursor(7, 3)
    first, second = stored(engine)
    assert (first.uid, first.flags, first.to_addresses) == (1, "", "bob@example.org, eve@example.org")
    assert (second.uid, second.flags, second.subject) == (2, "\\Seen \\Flagged", "Lunch")
    assert second.date == datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    assert (second.has_attachments, second.important) == (False, False)


def test_a_batch_again_adds_nothing_but_brings_flags_up_to_date(mailboxes: Mailboxes, engine: Engine) -> None:
    mailboxes.store_batch("a1", "INBOX", 7, 3, mails(1, 2))
    assert mailboxes.store_batch("a1", "INBOX", 7, 4, [*mails(2, 3), Mail(1, flags="\\Seen")]) == 1
    assert [(message.uid, message.flags) for message in stored(engine)] == [(1, "\\Seen"), (2, ""), (3, "")]


def test_a_batch_that_fails_half_way_moves_neither_messages_nor_cursor(
    mailboxes: Mailboxes, engine: Engine
) -> None:
    mailboxes.store_batch("a1", "INBOX", 7, 2, mails(1))
    nothing: Any = None
    broken = replace(Mail(3), subject=nothing)
    with pytest.raises(AttributeError):
        mailboxes.store_batch("a1", "INBOX", 7, 4, [Mail(2), broken])
    assert mailboxes.cursor("a1", "INBOX") == Cursor(7, 2)
    assert [message.uid for message in stored(engine)] == [1]


def test_a_batch_is_stored_on_repeat_after_an_outage(
    database_url: str, mailboxes: Mailboxes, outage: Outage
) -> None:
    with engine_at(database_url, busy_timeout=0.05) as engine:
        impatient = Mailboxes(engine)
        outage.begin()
        with pytest.raises(DatabaseUnavailable):
            impatient.store_batch("a1", "INBOX", 7, 3, mails(1, 2))
        outage.end()
        assert impatient.cursor("a1", "INBOX") is None
        assert impatient.store_batch("a1", "INBOX", 7, 3, mails(1, 2)) == 2


def test_a_reset_removes_what_the_old_numbering_left(mailboxes: Mailboxes, engine: Engine) -> None:
    mailboxes.store_batch("a1", "INBOX", 7, 9, mails(1, 2, 8))
    mailboxes.store_batch("a1", "Sent", 7, 9, mails(5))
    assert mailboxes.store_batch("a1", "INBOX", 8, 2, mails(1), reset=True) == 1
    assert mailboxes.store_batch("a1", "INBOX", 8, 3, mails(2), reset=True) == 1
    assert mailboxes.cursor("a1", "INBOX") == Cursor(8, 3)
    assert [(message.folder, message.uid) for message in stored(engine)] == [
        ("INBOX", 1),
        ("INBOX", 2),
        ("Sent", 5),
    ]


def test_a_batch_of_another_numbering_is_refused_without_a_reset(
    mailboxes: Mailboxes, engine: Engine
) -> None:
    mailboxes.store_batch("a1", "INBOX", 8, 3, mails(1))
    with pytest.raises(MailboxRenumbered, match="INBOX"):
        mailboxes.store_batch("a1", "INBOX", 7, 10, mails(9))
    assert mailboxes.cursor("a1", "INBOX") == Cursor(8, 3)
    assert [message.uid for message in stored(engine)] == [1]


def test_the_cursor_never_goes_back_within_one_numbering(mailboxes: Mailboxes) -> None:
    mailboxes.store_batch("a1", "INBOX", 7, 200, mails(199))
    mailboxes.store_batch("a1", "INBOX", 7, 150, mails(149))
    assert mailboxes.cursor("a1", "INBOX") == Cursor(7, 200)


def test_a_batch_of_a_thousand_fits(mailboxes: Mailboxes) -> None:
    assert mailboxes.store_batch("a1", "INBOX", 7, 1_001, mails(*range(1, 1_001))) == 1_000
    assert mailboxes.count_messages("a1") == mailboxes.count_messages("a1", "INBOX") == 1_000
    assert mailboxes.count_messages("a1", "Sent") == 0


def test_mail_as_the_world_sends_it_can_be_stored(mailboxes: Mailboxes, engine: Engine) -> None:
    first_moment = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))
    odd = Mail(1, subject="a\0b\ud800c", to="", date=first_moment, snippet="\U0001f4ec 'quoted' %s")
    mailboxes.store_batch("a1", "INBOX", 7, 3, [odd, Mail(2, date=None)])
    first, second = stored(engine)
    assert (first.subject, first.snippet, first.date) == ("a�b?c", "\U0001f4ec 'quoted' %s", None)
    assert second.date is None


def test_tenants_with_the_same_account_name_see_nothing_of_each_other(engine: Engine) -> None:
    ours, theirs = Mailboxes(engine, "acme"), Mailboxes(engine, "other")
    ours.store_batch("a1", "INBOX", 7, 3, mails(1, 2))
    ours.start_sync("job-1", "u1", "a1")
    assert theirs.cursor("a1", "INBOX") is None
    assert theirs.count_messages("a1") == 0
    assert theirs.sync_history("a1") == []


def test_a_sync_is_running_until_it_is_completed(mailboxes: Mailboxes) -> None:
    mailboxes.start_sync("job-1", "u1", "a1")
    [run] = mailboxes.sync_history("a1")
    assert (run.status, run.finished_at) == ("running", None)
    mailboxes.finish_sync("job-1", messages_new=5, messages_total=105)
    [run] = mailboxes.sync_history("a1")
    assert (run.status, run.messages_new, run.messages_total, run.error) == ("completed", 5, 105, None)
    assert run.finished_at is not None
    assert run.finished_at >= run.started_at


def test_the_next_attempt_of_a_failed_sync_takes_over_its_row(mailboxes: Mailboxes) -> None:
    mailboxes.start_sync("job-1", "u1", "a1")
    mailboxes.finish_sync("job-1", messages_new=0, messages_total=100, error="The server hung up.")
    [failed] = mailboxes.sync_history("a1")
    assert (failed.status, failed.error) == ("failed", "The server hung up.")
    mailboxes.start_sync("job-1", "u1", "a1")
    [again] = mailboxes.sync_history("a1")
    assert (again.status, again.error, again.finished_at) == ("running", None, None)
    assert again.started_at == failed.started_at


def test_the_history_is_newest_first(mailboxes: Mailboxes) -> None:
    for job in ("job-1", "job-2", "job-3"):
        mailboxes.start_sync(job, "u1", "a1")
    assert [run.job_id for run in mailboxes.sync_history("a1", limit=2)] == ["job-3", "job-2"]
