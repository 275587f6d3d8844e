"""How a mailbox is read: once in full, then only what is new, and again in full when its UIDs become void."""

from integrations.imap import Cursor, sync
from tests.integrations.peers import MailServer

NEW_MAIL = b"From: harbour@pilots.example\nSubject: Slot 14\nMessage-ID: <14@pilots.example>\n\nAt noon.\n"


def test_the_first_sync_reads_everything_in_batches_oldest_first(large_mailbox: MailServer) -> None:
    batches = list(sync(large_mailbox.account, batch=100))

    assert [(batch.done, batch.total) for batch in batches] == [(100, 210), (200, 210), (210, 210)]
    uids = [message.uid for batch in batches for message in batch.messages]
    assert uids == list(range(1, 211))
    assert [batch.cursor.uid_next for batch in batches] == [101, 201, 211]
    assert not any(batch.reset for batch in batches)


def test_a_sync_with_nothing_new_still_gives_a_cursor(mailbox: MailServer) -> None:
    *_, last = sync(mailbox.account)
    [nothing] = sync(mailbox.account, last.cursor)

    assert (nothing.messages, nothing.done, nothing.total) == ([], 0, 0)
    assert nothing.cursor == last.cursor


def test_a_later_sync_reads_only_the_mail_that_arrived_since(mailbox: MailServer) -> None:
    *_, last = sync(mailbox.account)
    mailbox.receive(NEW_MAIL, "1.new.callboard")
    [batch] = sync(mailbox.account, last.cursor)

    assert [(message.uid, message.subject) for message in batch.messages] == [(11, "Slot 14")]
    assert batch.cursor == Cursor(last.cursor.uid_validity, 12)


def test_a_sync_that_broke_off_after_a_stored_batch_goes_on_behind_it(mailbox: MailServer) -> None:
    reading = sync(mailbox.account, batch=4)
    stored = next(reading)
    reading.close()  # the worker died here

    rest = list(sync(mailbox.account, stored.cursor, batch=4))
    uids = [message.uid for batch in (stored, *rest) for message in batch.messages]
    assert uids == list(range(1, 11))
    assert (rest[0].done, rest[0].total) == (4, 6)


def test_a_changed_uidvalidity_voids_the_cursor_and_reads_everything_again(mailbox: MailServer) -> None:
    *_, last = sync(mailbox.account)
    uid_list = mailbox.maildir / "dovecot-uidlist"
    old = f"V{last.cursor.uid_validity} "
    uid_list.write_text(uid_list.read_text().replace(old, "V1800000000 ", 1))

    first, second = sync(mailbox.account, last.cursor, batch=5)
    assert [message.uid for message in first.messages + second.messages] == list(range(1, 11))
    # Only the first batch says "forget": after it, a resumed sync must keep what the first one stored.
    assert (first.reset, second.reset) == (True, False)
    assert second.cursor == Cursor(1_800_000_000, 11)


def test_a_message_that_was_deleted_is_left_out_and_the_cursor_passes_it(mailbox: MailServer) -> None:
    newest = max((mailbox.maildir / "cur").iterdir())
    newest.unlink()
    *_, last = sync(mailbox.account)

    assert [message.uid for message in last.messages] == list(range(1, 10))
    assert last.cursor.uid_next == 11


def test_reading_changes_nothing_in_the_mailbox(mailbox: MailServer) -> None:
    before = [message.flags for batch in sync(mailbox.account) for message in batch.messages]
    after = [message.flags for batch in sync(mailbox.account) for message in batch.messages]

    assert before == after
    assert () in after, "unread mail stays unread"
