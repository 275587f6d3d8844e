"""What operators did: one link of a chain when an act is begun, and one when it has ended."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Engine, select

from database.chain import OPERATORS, ChainKeys, extend, link_hash, locked_chain
from database.engine import read_session, write_session
from database.execution_rows import now
from database.models import OperatorAction

LONGEST_RESULT = 500


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody is about to do. `parameters` are names and numbers, never a payload."""

    operator: str
    action: str
    target: str | None = None
    tenant_id: str | None = None
    parameters: Mapping[str, object] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ActRow:
    """An act with what became of it. Without `ended_at` nobody knows: whoever did it was cut off."""

    number: int
    action_id: str
    began_at: datetime
    operator: str
    action: str
    target: str | None
    tenant_id: str | None
    parameters: dict[str, Any]
    reason: str | None
    ended_at: datetime | None = None
    failed: bool = False
    count: int | None = None
    result: str | None = None


class OperatorActions:
    """All verbs raise DatabaseUnavailable, and DatabaseOutdated before the database is migrated."""

    def __init__(self, engine: Engine, keys: ChainKeys | None = None) -> None:
        self._engine = engine
        self._keys = keys or ChainKeys()

    def begin(self, act: Act) -> str:
        """Write down that an act begins; its id. When this raises, the act must not be done."""
        action_id = uuid.uuid4().hex
        self._append(action_id, "begun", act, None, None)
        return action_id

    def end(
        self, action_id: str, act: Act, *, failed: bool, count: int | None = None, result: str | None = None
    ) -> None:
        """Write down how it ended: to how many things it was done, and a sentence."""
        phase = "failed" if failed else "done"
        self._append(action_id, phase, act, count, result and result[:LONGEST_RESULT])

    def read(self, tenant_id: str | None = None, limit: int = 50) -> list[ActRow]:
        """The last acts, newest first; with a tenant only those that name it."""
        begun = select(OperatorAction).where(OperatorAction.phase == "begun")
        if tenant_id is not None:
            begun = begun.where(OperatorAction.tenant_id == tenant_id)
        with read_session(self._engine) as session:
            rows = session.scalars(begun.order_by(OperatorAction.number.desc()).limit(limit)).all()
            ids = [row.action_id for row in rows]
            ends = select(OperatorAction).where(
                OperatorAction.action_id.in_(ids), OperatorAction.phase != "begun"
            )
            ended = {row.action_id: row for row in session.scalars(ends)}
            return [_act_row(row, ended.get(row.action_id)) for row in rows]

    def _append(self, action_id: str, phase: str, act: Act, count: int | None, result: str | None) -> None:
        with write_session(self._engine) as session:
            chain = locked_chain(session, OPERATORS)
            row = OperatorAction(
                number=chain.number + 1,
                action_id=action_id,
                phase=phase,
                at=now(),
                operator=_text(act.operator),
                action=act.action,
                target=_text(act.target),
                tenant_id=_text(act.tenant_id),
                parameters=_text(orjson.dumps(act.parameters or {}, default=str).decode()),
                reason=_text(act.reason),
                count=count,
                result=_text(result),
                key_id=self._keys.current,
            )
            row.hash = action_hash(row, chain.hash, self._keys.ring[self._keys.current])
            session.add(row)
            extend(chain, self._keys, row.hash, row.at)


def action_hash(row: OperatorAction, previous: str, key: bytes) -> str:
    """What the hash of an action has to be."""
    facts = (
        row.number,
        row.action_id,
        row.phase,
        row.at,
        row.operator,
        row.action,
        row.target,
        row.tenant_id,
        row.parameters,
        row.reason,
        row.count,
        row.result,
        row.key_id,
    )
    return link_hash("action", facts, previous, key)


def _act_row(begun: OperatorAction, ended: OperatorAction | None) -> ActRow:
    return ActRow(
        number=begun.number,
        action_id=begun.action_id,
        began_at=_moment(begun.at),
        operator=begun.operator,
        action=begun.action,
        target=begun.target,
        tenant_id=begun.tenant_id,
        parameters=orjson.loads(begun.parameters),
        reason=begun.reason,
        ended_at=_moment(ended.at) if ended else None,
        failed=ended is not None and ended.phase == "failed",
        count=ended.count if ended else None,
        result=ended.result if ended else None,
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _text(value: str | None) -> Any:
    """Without NULs, which PostgreSQL refuses, and without halves of characters, which no database takes."""
    if value is None:
        return None
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
