"""Walks the chains of the audit and finds the first place where one does not hold."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from database.audit import batch_hash
from database.chain import EXECUTIONS, NOTHING, OPERATORS, ROW_DIGEST, ChainKeys, row_digests, sealed
from database.engine import read_session
from database.models import AuditBatch, AuditChain, JobExecution, OperatorAction
from database.operator_actions import action_hash
from database.stored_rows import StoredRow, rows_between

CHUNK, ACTIONS = 50, 500  # batches and actions in one look


@dataclass(slots=True)
class Verification:
    """What a walk over one chain found. `broken` says where it does not hold, None that it does.

    `links` and `rows` are how many were walked; `before` rows are older than the chain, which does not cover
    them. `head` is the number and hash of the last link: kept elsewhere, it shows later whether somebody put
    an old database in the place of this one (`noted`). `keyed`: every link was made with a key.
    """

    chain: str
    links: int = 0
    rows: int = 0
    before: int = 0
    keyed: bool = True
    head: str = ""
    broken: str | None = None


class NotedHead(NamedTuple):
    """The last link as somebody noted it before."""

    number: int
    hash: str

    @classmethod
    def read(cls, text: str) -> "NotedHead":
        """From `number:hash`. Raises ValueError."""
        number, _, hash = text.partition(":")
        if not number.isdecimal() or len(hash) != len(NOTHING):
            raise ValueError("a head is a number, a colon and a hash, as 'callboard audit verify' prints it")
        return cls(int(number), hash)


class _Broken(Exception):
    """Says where."""


_Link = tuple[int, str]
_Walk = Callable[[Session, AuditChain, "Verification"], Iterator[_Link]]


class AuditCheck:
    """All raise DatabaseUnavailable and DatabaseOutdated."""

    def __init__(self, engine: Engine, keys: ChainKeys | None = None) -> None:
        self._engine = engine
        self._keys = keys or ChainKeys()

    def executions(self, noted: NotedHead | None = None) -> Verification:
        """Walk over the attempts. `noted` must be in the chain, or cut off it by retention."""
        return self._walk(EXECUTIONS, noted, self._batches)

    def operators(self, noted: NotedHead | None = None) -> Verification:
        """Walk over what operators did."""
        return self._walk(OPERATORS, noted, self._actions)

    def _walk(self, name: str, noted: NotedHead | None, links: _Walk) -> Verification:
        found = Verification(name)
        with self._snapshot() as session:
            try:
                self._follow(session, found, noted, links)
            except _Broken as broken:
                found.broken = str(broken)
        return found

    def _follow(self, session: Session, found: Verification, noted: NotedHead | None, links: _Walk) -> None:
        chain = session.get(AuditChain, found.chain)
        if chain is None:
            raise _Broken("its head is gone")
        found.head = f"{chain.number}:{chain.hash}"
        self._check_head(chain)
        last = chain.cut_number, chain.cut_hash
        _check_noted(noted, *last)
        for last in links(session, chain, found):
            _check_noted(noted, *last)
            found.links += 1
        if last != (chain.number, chain.hash):
            raise _Broken(f"what was written after {last[0]} is missing, up to {chain.number}")
        if noted and noted.number > chain.number:
            raise _Broken(f"{noted.number} was noted, but the last one is {chain.number}")

    def _check_head(self, chain: AuditChain) -> None:
        if chain.flaw is not None:
            raise _Broken(f"before {chain.flaw} was written, somebody had changed the head")
        if not sealed(chain, self._keys):
            raise _Broken(f"its head, {chain.number}, is not as a writer with a known key left it")

    def _check_key(self, what: str, key_id: str, at: str, found: Verification) -> bytes:
        found.keyed = found.keyed and bool(key_id)
        if not self._keys.knows(key_id, at):
            made = "with a key that the settings do not have" if key_id else "without a key"
            raise _Broken(f"{what} was written {made}")
        return self._keys.ring[key_id]

    # Attempts

    def _batches(self, session: Session, chain: AuditChain, found: Verification) -> Iterator[_Link]:
        previous, number, last_id = chain.cut_hash, chain.cut_number, chain.before_id
        count = select(func.count()).select_from(JobExecution)
        found.before = session.execute(count.where(JobExecution.id <= last_id)).scalar_one()
        if session.execute(count.where(JobExecution.id < 1)).scalar_one():
            raise _Broken("a row has a number below 1: it was inserted")
        while batches := _next_batches(session, number):
            for batch in batches:
                number += 1
                if batch.number != number:
                    raise _Broken(f"batch {number} is missing")
                key = self._check_key(f"batch {number}", batch.key_id, batch.recorded_at, found)
                if batch.hash != batch_hash(batch, previous, key):
                    raise _Broken(f"batch {number} is not as it was written")
                rows = list(rows_between(session.connection(), last_id + 1, batch.last_id))
                _check_rows(batch, rows, key)
                previous, last_id = batch.hash, batch.last_id
                found.rows += len(rows)
                yield number, batch.hash
            session.expunge_all()
        after = next(rows_between(session.connection(), last_id + 1, 2**63 - 1), None)
        if after is not None:
            raise _Broken(f"row {after.id} is in no batch: it was inserted, or its batch was removed")

    # Operators

    def _actions(self, session: Session, chain: AuditChain, found: Verification) -> Iterator[_Link]:
        previous, number = chain.cut_hash, chain.cut_number
        while rows := _next_actions(session, number):
            for row in rows:
                number += 1
                if row.number != number:
                    raise _Broken(f"action {number} is missing")
                key = self._check_key(f"action {number}", row.key_id, row.at, found)
                if row.hash != action_hash(row, previous, key):
                    raise _Broken(f"action {number} is not as it was written, or not in its place")
                previous = row.hash
                found.rows += 1
                yield number, row.hash
            session.expunge_all()
        early = session.scalar(
            select(OperatorAction.number).where(OperatorAction.number <= chain.cut_number).limit(1)
        )
        if early is not None:
            raise _Broken(f"action {early} was inserted where retention had removed everything")

    @contextmanager
    def _snapshot(self) -> Iterator[Session]:
        """One moment of the database, while writers go on."""
        engine = self._engine
        if engine.dialect.name == "postgresql":
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        with read_session(engine) as session:
            yield session


def _next_batches(session: Session, after: int) -> Sequence[AuditBatch]:
    wanted = select(AuditBatch).where(AuditBatch.number > after)
    return session.scalars(wanted.order_by(AuditBatch.number).limit(CHUNK)).all()


def _next_actions(session: Session, after: int) -> Sequence[OperatorAction]:
    wanted = select(OperatorAction).where(OperatorAction.number > after)
    return session.scalars(wanted.order_by(OperatorAction.number).limit(ACTIONS)).all()


def _check_rows(batch: AuditBatch, rows: list[StoredRow], key: bytes) -> None:
    """Find the first row that is not what the batch says."""
    known = [batch.digests[at : at + ROW_DIGEST] for at in range(0, len(batch.digests), ROW_DIGEST)]
    present = [row_digests([row.values], key) for row in rows]
    if known == present:
        return
    where = f"in batch {batch.number}"
    if len(present) == len(known) and sorted(present) == sorted(known):
        raise _Broken(f"rows {where} are not in the order in which they were written")
    before = batch.first_id - 1
    for row, was, is_now in zip_longest(rows, known, present):
        if was == is_now:
            before = row.id
        elif row is None or len(present) < len(known):
            raise _Broken(f"a row after {before} is missing {where}")
        else:
            inserted = len(present) > len(known)
            raise _Broken(f"row {row.id} {where} was {'inserted' if inserted else 'changed'}")


def _check_noted(noted: NotedHead | None, number: int, hash: str) -> None:
    if noted and noted.number == number and noted.hash != hash:
        raise _Broken(f"{number} is not the one that was noted: the database may have been replaced")
