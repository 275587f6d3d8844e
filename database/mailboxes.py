"""Mailboxes: cursors, messages and sync history, for one tenant.

A batch of messages and the cursor behind it are stored in one transaction, so a sync that is cut off
begins again exactly where its last batch ended, and repeating a batch changes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy import Engine, case, delete, func, select, update
from sqlalchemy.orm import Session

from database.dialects import insert_into
from database.engine import read_session, write_session
from database.errors import MailboxRenumbered
from database.models import MailboxCursor, StoredMessage, SyncRun


class Message(Protocol):
    """What a message must offer to be stored. Lists of addresses and flags may be text or sequences."""

    @property
    def uid(self) -> int: ...
    @property
    def message_id(self) -> str | None: ...
    @property
    def subject(self) -> str: ...
    @property
    def from_address(self) -> str: ...
    @property
    def to(self) -> str | Iterable[str]: ...
    @property
    def date(self) -> datetime | None: ...
    @property
    def size(self) -> int: ...
    @property
    def flags(self) -> str | Iterable[str]: ...
    @property
    def snippet(self) -> str: ...
    @property
    def has_attachments(self) -> bool: ...
    @property
    def important(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a folder was read: messages of this validity below `uid_next` are stored."""

    uid_validity: int
    uid_next: int


@dataclass(frozen=True, slots=True)
class SyncRecord:
    """One sync job over all its attempts; `status` is running, completed or failed."""

    job_id: str
    user_id: str
    account_id: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    messages_new: int
    messages_total: int
    error: str | None


class Mailboxes:
    """The mailboxes of one tenant ("" for those without). All verbs raise DatabaseUnavailable."""

    def __init__(self, engine: Engine, tenant_id: str = "") -> None:
        self._engine = engine
        self._tenant = tenant_id

    def cursor(self, account_id: str, folder: str) -> Cursor | None:
        """How far the folder was read, or None if never."""
        with read_session(self._engine) as session:
            row = session.get(MailboxCursor, (self._tenant, account_id, folder))
            return None if row is None else Cursor(row.uid_validity, row.uid_next)

    def store_batch(
        self,
        account_id: str,
        folder: str,
        uid_validity: int,
        uid_next: int,
        messages: Sequence[Message],
        reset: bool = False,
    ) -> int:
        """Store messages and move the cursor to `uid_next`, both or neither; how many were new.

        `reset` begins a new numbering: what was stored under another `uid_validity` is removed. Without
        it a batch of another numbering is refused with MailboxRenumbered. Under one numbering the
        cursor never goes back.
        """
        batch = {message.uid: message for message in messages}
        with write_session(self._engine) as session:
            # The cursor first: its row lock makes two syncs of one folder take turns on PostgreSQL.
            self._move_cursor(session, account_id, folder, uid_validity, uid_next, reset)
            if reset:
                session.execute(
                    delete(StoredMessage).where(
                        *self._in_folder(account_id, folder), StoredMessage.uid_validity != uid_validity
                    )
                )
            if not batch:
                return 0
            known = select(func.count()).where(
                *self._in_folder(account_id, folder),
                StoredMessage.uid_validity == uid_validity,
                StoredMessage.uid.in_(batch),
            )
            new = len(batch) - session.execute(known).scalar_one()
            insert = insert_into(self._engine, StoredMessage)
            place = {
                "tenant_id": self._tenant,
                "account_id": account_id,
                "folder": folder,
                "uid_validity": uid_validity,
            }
            session.connection().execute(
                insert.on_conflict_do_update(
                    index_elements=["tenant_id", "account_id", "folder", "uid_validity", "uid"],
                    # Under one uid only flags may change (RFC 3501, 2.3.1.1), and our own judgement.
                    set_={"flags": insert.excluded.flags, "important": insert.excluded.important},
                ),
                [place | _values(batch[uid]) for uid in sorted(batch)],
            )
            return new

    def count_messages(self, account_id: str, folder: str | None = None) -> int:
        """How many messages are stored of an account, or of one folder of it."""
        with read_session(self._engine) as session:
            count = select(func.count()).where(
                StoredMessage.tenant_id == self._tenant, StoredMessage.account_id == account_id
            )
            if folder is not None:
                count = count.where(StoredMessage.folder == folder)
            return session.execute(count).scalar_one()

    def senders(self, account_id: str, limit: int = 50) -> list[tuple[str, int, int]]:
        """Who wrote most: address, number of messages, their bytes; most messages first."""
        count = func.count().label("count")
        query = (
            select(StoredMessage.from_address, count, func.sum(StoredMessage.size))
            .where(StoredMessage.tenant_id == self._tenant, StoredMessage.account_id == account_id)
            .group_by(StoredMessage.from_address)
            .order_by(count.desc(), StoredMessage.from_address)
            .limit(limit)
        )
        with read_session(self._engine) as session:
            return [(sender, number, int(size)) for sender, number, size in session.execute(query)]

    def start_sync(self, job_id: str, user_id: str, account_id: str) -> None:
        """Enter a sync into the history as running; another attempt of the job takes over its row."""
        running = {"status": "running", "finished_at": None, "error": None}
        insert = insert_into(self._engine, SyncRun).values(
            tenant_id=self._tenant,
            job_id=job_id,
            user_id=user_id,
            account_id=account_id,
            started_at=datetime.now(UTC),
            messages_new=0,
            messages_total=0,
            **running,
        )
        with write_session(self._engine) as session:
            session.execute(
                insert.on_conflict_do_update(index_elements=["tenant_id", "job_id"], set_=running)
            )

    def finish_sync(
        self, job_id: str, *, messages_new: int, messages_total: int, error: str | None = None
    ) -> None:
        """Close the history row: completed, or failed with `error` in one sentence."""
        with write_session(self._engine) as session:
            session.execute(
                update(SyncRun)
                .where(SyncRun.tenant_id == self._tenant, SyncRun.job_id == job_id)
                .values(
                    status="failed" if error else "completed",
                    finished_at=datetime.now(UTC),
                    messages_new=messages_new,
                    messages_total=messages_total,
                    error=error and _text(error),
                )
            )

    def sync_history(self, account_id: str, limit: int = 50) -> list[SyncRecord]:
        """The last syncs of an account, newest first."""
        wanted = (
            select(SyncRun)
            .where(SyncRun.tenant_id == self._tenant, SyncRun.account_id == account_id)
            .order_by(SyncRun.started_at.desc(), SyncRun.id.desc())
            .limit(limit)
        )
        with read_session(self._engine) as session:
            return [
                SyncRecord(**{name: getattr(run, name) for name in SyncRecord.__slots__})
                for run in session.scalars(wanted)
            ]

    def _in_folder(self, account_id: str, folder: str) -> tuple[Any, ...]:
        return (
            StoredMessage.tenant_id == self._tenant,
            StoredMessage.account_id == account_id,
            StoredMessage.folder == folder,
        )

    def _move_cursor(
        self, session: Session, account_id: str, folder: str, uid_validity: int, uid_next: int, reset: bool
    ) -> None:
        insert = insert_into(self._engine, MailboxCursor).values(
            tenant_id=self._tenant,
            account_id=account_id,
            folder=folder,
            uid_validity=uid_validity,
            uid_next=uid_next,
            updated_at=datetime.now(UTC),
        )
        new = insert.excluded
        same = MailboxCursor.uid_validity == new.uid_validity
        further = MailboxCursor.uid_next > new.uid_next
        moved = insert.on_conflict_do_update(
            index_elements=["tenant_id", "account_id", "folder"],
            set_={
                "uid_validity": new.uid_validity,
                "uid_next": case((same & further, MailboxCursor.uid_next), else_=new.uid_next),
                "updated_at": new.updated_at,
            },
            where=None if reset else same,
        ).returning(MailboxCursor.uid_next)
        if session.execute(moved).first() is None:
            raise MailboxRenumbered(
                f"The folder '{folder}' was renumbered by its server while this sync ran; start it again."
            )


def _values(message: Message) -> dict[str, object]:
    return {
        "uid": message.uid,
        "message_id": _text(message.message_id or ""),
        "subject": _text(message.subject),
        "from_address": _text(message.from_address),
        "to_addresses": _joined(message.to, ", "),
        "date": _in_utc(message.date),
        "size": message.size,
        "flags": _joined(message.flags, " "),
        "snippet": _text(message.snippet),
        "has_attachments": message.has_attachments,
        "important": message.important,
    }


def _in_utc(date: datetime | None) -> datetime | None:
    """A mail without a zone is taken as UTC; a date no clock can show in UTC is left out."""
    if date is None:
        return None
    try:
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except OverflowError:
        return None


def _joined(words: str | Iterable[str], separator: str) -> str:
    return _text(words if isinstance(words, str) else separator.join(words))


def _text(value: str) -> str:
    """What both databases can keep: mail brings NULs and halves of surrogate pairs."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
