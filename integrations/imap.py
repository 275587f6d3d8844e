"""Reading a mailbox over IMAP, only what is new since a cursor (RFC 9051 section 2.3.1.1, RFC 4549).

The server gives each message of a folder a UID that only grows, and the folder a UIDVALIDITY. While
UIDVALIDITY stays, the messages from UIDNEXT on are the new ones; when it changes, every UID is void and
the folder is read again from the start.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from integrations.errors import PermanentFailure, TransientFailure
from integrations.imap_errors import explained, login_refused
from integrations.mail import FetchPart, MailMessage, read_message

if TYPE_CHECKING:
    import ssl

    from imap_tools.mailbox import BaseMailBox

# Enough for the headers and the beginning of the text; a mail with 20 MB of attachments costs no more.
READ_BYTES = 65_536

__all__ = ["Cursor", "ImapAccount", "MailMessage", "SyncBatch", "open_mailbox", "sync"]


@dataclass(frozen=True, slots=True)
class ImapAccount:
    """Where a mailbox is and how to enter it; `timeout_seconds` holds for each network operation.

    `ca_file` names a PEM file of a private certificate authority; without it the system's are trusted.
    """

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    tls: Literal["tls", "starttls", "none"] = "tls"
    folder: str = "INBOX"
    timeout_seconds: float = 30
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a folder has been read: everything below `uid_next` of this `uid_validity`."""

    uid_validity: int
    uid_next: int


@dataclass(frozen=True, slots=True)
class SyncBatch:
    """Some new messages, oldest first.

    `done` of `total` counts this batch in. Store the messages and `cursor` together: the cursor says that
    they are stored, so a crash before it loses nothing and repeats at most this batch.
    `reset` stands on the first batch after UIDVALIDITY changed: forget the folder's stored messages first.
    """

    messages: list[MailMessage]
    done: int
    total: int
    cursor: Cursor
    reset: bool


@contextmanager
def open_mailbox(account: ImapAccount) -> Iterator["BaseMailBox"]:
    """Log in, select the folder read-only and log out at the end.

    Raises PermanentFailure (login refused, no such folder, bad configuration, untrusted certificate) or
    TransientFailure (no connection, time-out, server busy); also for what fails inside the `with`.
    """
    import imaplib

    from imap_tools.errors import ImapToolsError

    failures = (OSError, imaplib.IMAP4.error, ImapToolsError)
    box: BaseMailBox | None = None
    try:
        _check(account)
        box = _connect(account)
        if account.tls == "starttls":
            box.client.starttls(_trust(account))
        _log_in(box, account)
        box.folder.set(account.folder, readonly=True)
        yield box
    except failures as error:
        raise explained(error, account) from error
    finally:
        if box is not None:
            # All that was wanted has been read, or has failed already: a failed good-bye changes nothing.
            with suppress(*failures):
                box.logout()
            with suppress(OSError):
                box.client.shutdown()


def sync(account: ImapAccount, cursor: Cursor | None = None, batch: int = 50) -> Iterator[SyncBatch]:
    """Read what is new since `cursor` (None: everything) in batches of at most `batch` messages.

    At least one batch comes, empty if nothing is new, so that a cursor can always be stored. Messages that
    arrive meanwhile belong to the next sync. Raises as `open_mailbox` does.
    """
    if batch < 1:
        raise ValueError("batch must be at least 1")
    with open_mailbox(account) as box:
        validity, server_next = _position(box)
        changed = cursor is not None and cursor.uid_validity != validity
        first = 1 if cursor is None or changed else cursor.uid_next
        uids = _new_uids(box, first, server_next)
        end = Cursor(validity, max(first, server_next or 0, *(uid + 1 for uid in uids[-1:])))
        if not uids:
            yield SyncBatch([], 0, 0, end, changed)
        for start in range(0, len(uids), batch):
            chosen = uids[start : start + batch]
            done = start + len(chosen)
            reached = end if done == len(uids) else Cursor(validity, chosen[-1] + 1)
            yield SyncBatch(_fetch(box, chosen), done, len(uids), reached, changed and start == 0)


def _check(account: ImapAccount) -> None:
    for name in ("host", "username", "password", "folder"):
        value: str = getattr(account, name)
        # A line break in a field would be a command of its own to the server.
        if not value or re.search(r"[\x00-\x1f\x7f]", value):
            raise PermanentFailure(f"The mail account's {name} is empty or holds a control character.")
    if not 0 < account.port < 65_536 or account.timeout_seconds <= 0:
        raise PermanentFailure("The mail account's port or timeout_seconds is out of range.")
    if account.tls not in ("tls", "starttls", "none"):
        raise PermanentFailure("The mail account's tls must be tls, starttls or none.")


def _connect(account: ImapAccount) -> "BaseMailBox":
    from imap_tools.mailbox import MailBox, MailBoxUnencrypted

    host, port, timeout = account.host, account.port, account.timeout_seconds
    if account.tls == "tls":
        return MailBox(host, port, timeout=timeout, ssl_context=_trust(account))
    return MailBoxUnencrypted(host, port, timeout=timeout)


def _trust(account: ImapAccount) -> "ssl.SSLContext":
    # imaplib's own default context checks no certificate.
    import ssl

    return ssl.create_default_context(cafile=account.ca_file)


def _log_in(box: "BaseMailBox", account: ImapAccount) -> None:
    import imaplib

    # LOGIN is ASCII only; SASL PLAIN is UTF-8, but not every server offers it.
    ascii_only = (account.username + account.password).isascii()
    login = box.login if ascii_only else box.login_utf8
    try:
        login(account.username, account.password, initial_folder=None)
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        raise login_refused(error, account) from error


def _position(box: "BaseMailBox") -> tuple[int, int | None]:
    """UIDVALIDITY and UIDNEXT as SELECT gave them; a few old servers leave UIDNEXT out."""
    validity, following = _number(box, "UIDVALIDITY"), _number(box, "UIDNEXT")
    if validity is None:
        raise TransientFailure("The mail server named no UIDVALIDITY for the folder, so nothing can be kept.")
    return validity, following


def _number(box: "BaseMailBox", name: str) -> int | None:
    _, data = box.client.response(name)
    return int(data[-1]) if data and data[-1] else None


def _new_uids(box: "BaseMailBox", first: int, server_next: int | None) -> list[int]:
    if server_next is not None and first >= server_next:
        return []
    last = server_next - 1 if server_next is not None else "*"
    found = (int(uid) for uid in box.uids(f"UID {first}:{last}", charset=None))
    # `n:*` always names the newest message, even one below n.
    return sorted(uid for uid in found if uid >= first and (server_next is None or uid < server_next))


def _fetch(box: "BaseMailBox", uids: list[int]) -> list[MailMessage]:
    """The messages that still exist, by ascending UID."""
    from imap_tools.errors import MailboxFetchError

    chosen = ",".join(map(str, uids))
    status, data = box.client.uid("fetch", chosen, f"(UID FLAGS RFC822.SIZE BODY.PEEK[]<0.{READ_BYTES}>)")
    if status != "OK":
        raise MailboxFetchError(command_result=(status, data), expected="OK")
    wanted = set(uids)
    messages = (read_message(parts, READ_BYTES) for parts in _responses(data))
    return sorted((message for message in messages if message.uid in wanted), key=lambda found: found.uid)


def _responses(data: Iterable[object]) -> Iterator[list[FetchPart]]:
    """imaplib's flat answer cut into one list a message: the literal, then the rest of its line."""
    parts: list[FetchPart] = []
    for piece in data:
        if isinstance(piece, tuple):
            if parts:
                yield parts
            parts = [piece]
        elif isinstance(piece, bytes) and parts and not re.match(rb"\d+ \(", piece):
            # What matches is the server telling of a changed flag in between: not of this message.
            parts.append(piece)
    if parts:
        yield parts
