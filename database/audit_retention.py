"""Takes old links off the audit's chains, in chunks, and notes in the head where it was cut."""

from collections.abc import Generator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from database.chain import EXECUTIONS, OPERATORS, ChainKeys, locked_chain, mark_flaw, seal
from database.engine import read_session, write_session
from database.execution_rows import now, text_of
from database.models import AuditBatch, AuditChain, JobExecution, OperatorAction

CHUNK = 5_000  # rows of one transaction: writers wait for it, some hundredths of a second
BATCHES = 500

_Column = InstrumentedAttribute[Any]


class AuditRetention:
    """Each run yields how many rows a chunk removed; closing it ends it there.

    What is old is what was stored before: a batch goes with all its rows. What is removed is the beginning of
    a chain. A time of the future in it, which a host with a wrong clock wrote, keeps nothing: it goes with
    what came after it. A time of the past takes nothing with it, or one such host would empty the audit.

    All raise DatabaseUnavailable, and AuditKeyMissing when the key that the chain was last written with is
    not here.
    """

    def __init__(self, engine: Engine, keys: ChainKeys | None = None) -> None:
        self._engine = engine
        self._keys = keys or ChainKeys()

    def executions(self, older_than: timedelta) -> Generator[int, None, None]:
        """Remove attempts that were stored longer ago than this."""
        cutoff = _cutoff(older_than)
        while removed := self._rows_before_the_chain(cutoff):
            yield removed
        through = self._through(EXECUTIONS, AuditBatch.number, AuditBatch.recorded_at, cutoff)
        while removed := self._batches(through):
            yield removed

    def operators(self, older_than: timedelta) -> Generator[int, None, None]:
        """Remove what operators did longer ago than this."""
        cutoff = _cutoff(older_than)
        through = self._through(OPERATORS, OperatorAction.number, OperatorAction.at, cutoff)
        while removed := self._actions(through):
            yield removed

    def _through(self, name: str, number: _Column, at: _Column, cutoff: str) -> int:
        """The last link that goes: the last old one before any that is neither old nor of the future."""
        with read_session(self._engine) as session:
            chain = session.get_one(AuditChain, name)
            young = select(number).where(number > chain.cut_number, at >= cutoff, at <= now())
            first = session.scalar(young.order_by(number).limit(1))
            old = select(number).where(number > chain.cut_number, at < cutoff)
            if first is not None:
                old = old.where(number < first)
            return session.scalar(old.order_by(number.desc()).limit(1)) or 0

    def _rows_before_the_chain(self, cutoff: str) -> int:
        with write_session(self._engine) as session:
            chain = locked_chain(session, EXECUTIONS)
            if not chain.before_id:
                return 0
            uncovered = JobExecution.id <= chain.before_id
            old = select(JobExecution.id).where(uncovered, JobExecution.recorded_at < _moment(cutoff))
            ids = session.scalars(old.order_by(JobExecution.id).limit(CHUNK)).all()
            session.execute(delete(JobExecution).where(JobExecution.id.in_(ids)))
            if not session.scalar(select(func.count()).where(uncovered).select_from(JobExecution)):
                self._note(chain, before_id=0)
            return len(ids)

    def _batches(self, through: int) -> int:
        with write_session(self._engine) as session:
            chain = locked_chain(session, EXECUTIONS)
            batches = _oldest(session, chain.cut_number, through)
            if not batches:
                return 0
            last = batches[-1]
            # From the end of what was cut before: what somebody put between two batches goes, too.
            removed = session.execute(
                delete(JobExecution).where(JobExecution.id > chain.before_id, JobExecution.id <= last.last_id)
            )
            session.execute(delete(AuditBatch).where(AuditBatch.number <= last.number))
            self._note(chain, cut_number=last.number, cut_hash=last.hash)
            count: int = removed.rowcount  # type: ignore[attr-defined]
            return max(1, count)  # 0 says that nothing is old any more

    def _actions(self, through: int) -> int:
        with write_session(self._engine) as session:
            chain = locked_chain(session, OPERATORS)
            old = session.execute(
                select(OperatorAction.number, OperatorAction.hash)
                .where(OperatorAction.number > chain.cut_number, OperatorAction.number <= through)
                .order_by(OperatorAction.number)
                .limit(CHUNK)
            ).all()
            if not old:
                return 0
            session.execute(delete(OperatorAction).where(OperatorAction.number <= old[-1].number))
            self._note(chain, cut_number=old[-1].number, cut_hash=old[-1].hash)
            return len(old)

    def _note(self, chain: AuditChain, **changes: object) -> None:
        """Change the head, and keep in mind when it was not as a writer had left it."""
        mark_flaw(chain, self._keys)
        for name, value in changes.items():
            setattr(chain, name, value)
        if chain.flaw is not None and chain.flaw <= chain.cut_number:
            chain.flaw = None  # what it spoils is gone
        chain.cut_at = now()
        seal(chain, self._keys)


def _oldest(session: Session, after: int, through: int) -> Sequence[AuditBatch]:
    """The first batches of the chain up to this one, as many as fit one chunk."""
    batches = session.scalars(
        select(AuditBatch)
        .where(AuditBatch.number > after, AuditBatch.number <= through)
        .order_by(AuditBatch.number)
        .limit(BATCHES)
    ).all()
    rows, taken = 0, 0
    for batch in batches:
        rows += batch.rows
        if taken and rows > CHUNK:
            break
        taken += 1
    return batches[:taken]


def _cutoff(older_than: timedelta) -> str:
    return text_of(datetime.now(UTC) - older_than)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
