"""Retention where a host wrote rows with a wrong clock: none is kept for years, and no others are lost."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Engine, text

from database.audit import AuditWriter
from database.audit_check import AuditCheck
from database.audit_retention import AuditRetention
from database.execution_rows import text_of
from database.operator_actions import Act, OperatorActions
from tests.database.events import an_event

MONTHS_3 = timedelta(days=90)
#: How long ago each row was written, by the clock of who wrote it, in days; and which of them stay.
CASES = {
    "a row of the future goes with those after it": ([400, -1_500, 300, 200, 10, 5], [10, 5]),
    "also many in a row": ([400, -900, -800, -1_500, 200, 10], [10]),
    "one of the future at the end stays": ([400, 10, -1_500], [10, -1_500]),
    "it does not make young rows old": ([400, 10, -1_500, 300], [10, -1_500, 300]),
    "a row of the past takes none with it": ([400, 20, 10, 20_000, 5], [20, 10, 20_000, 5]),
    "all of the future": ([-5, -1_500], [-5, -1_500]),
    "nothing is young": ([400, 300, 200], []),
}


def moment(days: float) -> str:
    return text_of(datetime.now(UTC) - timedelta(days=days))


def left(engine: Engine, column: str, table: str) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(text(f"SELECT {column} FROM {table} ORDER BY 1")))


@pytest.mark.parametrize(("ages", "stay"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("chunk", [5_000, 1])
def test_attempts(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, ages: list[int], stay: list[int], chunk: int
) -> None:
    monkeypatch.setattr("database.audit_retention.CHUNK", chunk)
    writer = AuditWriter(engine)
    for number, age in enumerate(ages):
        monkeypatch.setattr("database.audit.now", partial(moment, age))
        writer.write([an_event(job_id=f"{number}: {age}")])

    removed = sum(AuditRetention(engine).executions(MONTHS_3))

    assert [int(one.split()[1]) for one in left(engine, "job_id", "job_executions")] == stay
    assert removed == len(ages) - len(stay)
    writer.write([an_event(job_id="later")])
    found = AuditCheck(engine).executions()
    assert (found.broken, found.rows) == (None, len(stay) + 1)


@pytest.mark.parametrize(("ages", "stay"), CASES.values(), ids=CASES)
def test_acts_of_operators(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, ages: list[int], stay: list[int]
) -> None:
    monkeypatch.setattr("database.audit_retention.CHUNK", 1)
    for number, age in enumerate(ages):
        monkeypatch.setattr("database.operator_actions.now", partial(moment, age))
        OperatorActions(engine).begin(Act("ada", "queue.drain", target=f"{number}: {age}"))

    list(AuditRetention(engine).operators(MONTHS_3))

    assert [int(one.split()[1]) for one in left(engine, "target", "operator_actions")] == stay
    assert AuditCheck(engine).operators().broken is None
