"""The chains of the audit: whatever is changed behind the writers' back is found, and where."""

import multiprocessing
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier

import pytest
from sqlalchemy import Engine, text

from database.audit import AuditReader, AuditWriter
from database.audit_check import AuditCheck, NotedHead
from database.audit_retention import AuditRetention
from database.chain import ChainKeys
from database.engine import make_engine, write_session
from database.errors import AuditKeyMissing
from database.execution_rows import COLUMNS
from database.models import OperatorAction
from database.operator_actions import Act, OperatorActions
from jobs.events import AttemptDetail
from tests.database.events import a_failure, an_event

KEYS = ChainKeys.of("a key of thirty-two characters...")
ALL = timedelta(days=-1)
_REST = ", ".join(column.name for column in OperatorAction.__table__.columns if column.name != "number")
_LAST_BATCH_AND_ROWS = "DELETE FROM audit_batches WHERE number = 3; DELETE FROM job_executions WHERE id > 6"


@pytest.fixture
def check(engine: Engine) -> AuditCheck:
    return AuditCheck(engine, KEYS)


@pytest.fixture
def written(engine: Engine) -> AuditWriter:
    """Three batches of three attempts: rows 1 to 3, 4 to 6, 7 to 9, of two tenants in turn."""
    writer = AuditWriter(engine, KEYS)
    for batch in range(3):
        writer.write(
            [
                an_event(job_id=f"job-{batch}-{number}", lane="acme" if number % 2 else "bolt")
                for number in range(3)
            ]
        )
    return writer


@pytest.fixture
def actions(engine: Engine) -> OperatorActions:
    """Two acts of Ada's: links 1 to 4."""
    acts = OperatorActions(engine, KEYS)
    for queue in ("email-sync", "pdf-generate"):
        act = Act("ada@host", "queue.drain", queue, "acme", {"delayed": True})
        acts.end(acts.begin(act), act, failed=False, count=3)
    return acts


def change(engine: Engine, *statements: str) -> None:
    """What somebody does who can write to the database."""
    with write_session(engine) as session:
        for statement in statements:
            session.execute(text(statement))


def test_an_audit_that_nobody_touched_holds(check: AuditCheck, written: AuditWriter) -> None:
    found = check.executions()
    assert (found.broken, found.links, found.rows, found.before, found.keyed) == (None, 3, 9, 0, True)
    assert check.operators().broken is None


def test_every_kind_of_value_is_hashed_as_it_is_stored(engine: Engine, check: AuditCheck) -> None:
    detail = AttemptDetail(
        worker="mail-1",
        error_message="quote ' ünï",
        inputs="AAECAw==",
        trace_id="4bf92f35",
        cost="0.1",
        cost_unit="usd",
    )
    AuditWriter(engine, KEYS).write(
        [
            a_failure(detail=detail.to_bytes(), attempt=2**70),
            an_event(job_id="j\0b", lane="", owner="", ready_at=0, started_at=0, finished_at=10**30),
        ]
    )
    assert check.executions().broken is None
    [row] = AuditReader(engine).attempts("job-1")
    assert (row.inputs, row.trace_id, row.cost, row.cost_unit) == (b"\0\1\2\3", "4bf92f35", 0.1, "usd")


def test_many_events_at_once_are_several_links(engine: Engine, check: AuditCheck) -> None:
    AuditWriter(engine, KEYS).write([an_event(job_id=f"job-{number}") for number in range(1_200)])
    found = check.executions()
    assert (found.broken, found.links, found.rows) == (None, 3, 1_200)


def test_events_that_come_again_leave_no_mark_on_the_chain(engine: Engine, check: AuditCheck) -> None:
    writer = AuditWriter(engine, KEYS)
    events = [an_event(job_id=f"job-{number}") for number in range(6)]
    writer.write(events[:3])
    writer.write(events[:3])
    writer.write(events[1:5:2] + events[3:])
    found = check.executions()
    assert (found.broken, found.links, found.rows) == (None, 2, 6)


@pytest.mark.parametrize(
    ("tampering", "place"),
    [
        ("UPDATE job_executions SET outcome = 'completed ' WHERE id = 5", "row 5 in batch 2 was changed"),
        ("UPDATE job_executions SET recorded_at = '2020-01-01' WHERE id = 5", "row 5 in batch 2 was changed"),
        ("DELETE FROM job_executions WHERE id = 5", "a row after 4 is missing in batch 2"),
        ("DELETE FROM job_executions WHERE id = 9", "a row after 8 is missing in batch 3"),
        ("DELETE FROM job_executions WHERE id = 1", "a row after 0 is missing in batch 1"),
        ("{insert} 40{like} 3", "row 40 is in no batch"),
        ("{insert} -4{like} 3", "a row has a number below 1"),
        ("DELETE FROM audit_batches WHERE number = 2", "batch 2 is missing"),
        ("DELETE FROM audit_batches WHERE number = 3", "row 7 is in no batch"),
        (_LAST_BATCH_AND_ROWS, "what was written after 2 is missing, up to 3"),
        ("UPDATE audit_batches SET rows = 2 WHERE number = 2", "batch 2 is not as it was written"),
        ("UPDATE audit_chains SET number = 2 WHERE name = 'executions'", "its head, 2, is not as"),
        ("DELETE FROM audit_chains", "its head is gone"),
    ],
)
def test_what_was_done_to_a_row_is_named(
    engine: Engine, check: AuditCheck, written: AuditWriter, tampering: str, place: str
) -> None:
    columns = ", ".join(column for column in COLUMNS if column != "job_id")
    insert = f"INSERT INTO job_executions (id, job_id, {columns}) SELECT"
    like = f", 'forged', {columns} FROM job_executions WHERE id ="
    change(engine, *tampering.format(insert=insert, like=like).split(";"))
    broken = check.executions().broken
    assert broken is not None
    assert place in broken


def test_swapped_tenants_are_found(engine: Engine, check: AuditCheck, written: AuditWriter) -> None:
    swap = "UPDATE job_executions SET tenant_id = CASE tenant_id WHEN 'acme' THEN 'bolt' ELSE 'acme' END"
    change(engine, f"{swap} WHERE id IN (5, 6)")
    assert check.executions().broken == "row 5 in batch 2 was changed"


def test_rows_in_another_order_are_found(engine: Engine, check: AuditCheck, written: AuditWriter) -> None:
    moves = [f"UPDATE job_executions SET id = {to} WHERE id = {of}" for of, to in ((4, 99), (5, 4), (99, 5))]
    change(engine, *moves)
    assert check.executions().broken == "rows in batch 2 are not in the order in which they were written"


def test_a_row_put_between_two_batches_is_found(engine: Engine, check: AuditCheck) -> None:
    writer = AuditWriter(engine, KEYS)
    writer.write([an_event(job_id="a")])
    change(
        engine, "UPDATE job_executions SET id = 10", "UPDATE audit_batches SET first_id = 10, last_id = 10"
    )
    assert check.executions().broken == "batch 1 is not as it was written"


def test_a_chain_made_anew_without_the_key_does_not_pass(engine: Engine, check: AuditCheck) -> None:
    AuditWriter(engine, ChainKeys()).write([an_event()])
    assert AuditCheck(engine).executions().broken is None
    broken = check.executions().broken
    assert broken is not None
    assert "is not as a writer with a known key left it" in broken


def test_links_from_before_there_was_a_key_hold_when_the_settings_say_so(engine: Engine) -> None:
    AuditWriter(engine).write([an_event(job_id="old")])
    keys = ChainKeys.of("a key of thirty-two characters...", since="9999")
    AuditWriter(engine, keys).write([an_event(job_id="new")])
    found = AuditCheck(engine, keys).executions()
    assert (found.broken, found.links, found.keyed) == (None, 2, False)
    too_late = ChainKeys.of("a key of thirty-two characters...", since="2000")
    assert AuditCheck(engine, too_late).executions().broken == "batch 1 was written without a key"


def test_a_key_may_be_changed_while_old_links_are_there(engine: Engine, written: AuditWriter) -> None:
    new = ChainKeys.of("another key of thirty-two letters", ["a key of thirty-two characters..."])
    AuditWriter(engine, new).write([an_event(job_id="later")])
    assert AuditCheck(engine, new).executions().broken is None
    alone = ChainKeys.of("another key of thirty-two letters")
    assert AuditCheck(engine, alone).executions().broken is not None


@pytest.mark.parametrize("keys", [ChainKeys(), ChainKeys.of("another key of thirty-two letters")])
def test_a_process_without_the_key_of_the_chain_writes_nothing(
    engine: Engine, check: AuditCheck, written: AuditWriter, actions: OperatorActions, keys: ChainKeys
) -> None:
    """It cannot tell whether the head was changed; a mark of its own would call a good chain broken."""
    advice = r"key that this process does not have.*audit\.key.*audit\.old_keys"
    with pytest.raises(AuditKeyMissing, match=advice):
        AuditWriter(engine, keys).write([an_event(job_id="later")])
    with pytest.raises(AuditKeyMissing, match=advice):
        OperatorActions(engine, keys).begin(Act("ada@host", "queue.drain"))
    with pytest.raises(AuditKeyMissing, match=advice):
        list(AuditRetention(engine, keys).executions(ALL))
    with pytest.raises(AuditKeyMissing, match=advice):
        list(AuditRetention(engine, keys).operators(ALL))
    written.write([an_event(job_id="later")])
    assert (check.executions().broken, check.executions().rows) == (None, 10)
    assert check.operators().broken is None


def test_after_the_loss_of_a_key_writers_can_go_on_and_the_place_is_named(
    engine: Engine, written: AuditWriter
) -> None:
    change(engine, "UPDATE audit_chains SET seal = '', key_id = ''")
    keys = ChainKeys.of("another key of thirty-two letters")
    AuditWriter(engine, keys).write([an_event(job_id="later")])
    assert AuditCheck(engine, keys).executions().broken is not None


def test_a_head_put_back_stays_known_when_writers_go_on(
    engine: Engine, check: AuditCheck, written: AuditWriter
) -> None:
    change(
        engine,
        "DELETE FROM job_executions WHERE id > 6",
        "DELETE FROM audit_batches WHERE number = 3",
        "UPDATE audit_chains SET number = 2, hash = (SELECT hash FROM audit_batches WHERE number = 2)"
        " WHERE name = 'executions'",
    )
    written.write([an_event(job_id="later")])
    assert check.executions().broken == "before 3 was written, somebody had changed the head"


def test_a_database_put_in_the_place_of_this_one_is_known_by_a_noted_head(
    engine: Engine, check: AuditCheck, written: AuditWriter
) -> None:
    noted = NotedHead.read(check.executions().head)
    written.write([an_event(job_id="later")])
    assert check.executions(noted).broken is None
    other = NotedHead(noted.number, "1" * 64)
    assert "is not the one that was noted" in (check.executions(other).broken or "")
    ahead = NotedHead(noted.number + 5, noted.hash)
    assert "8 was noted, but the last one is 4" in (check.executions(ahead).broken or "")


def test_retention_cuts_the_old_end_in_chunks_and_the_rest_holds(
    engine: Engine, check: AuditCheck, written: AuditWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("database.audit_retention.CHUNK", 4)
    written.write([an_event(job_id="young")])
    old = datetime.now(UTC) - timedelta(minutes=1)
    assert list(AuditRetention(engine, KEYS).executions(datetime.now(UTC) - old)) == []
    removed = []
    for chunk in (run := AuditRetention(engine, KEYS).executions(ALL)):
        removed.append(chunk)
        if len(removed) == 2:
            run.close()
    assert removed == [3, 3]
    found = check.executions()
    assert (found.broken, found.links, found.rows) == (None, 2, 4)
    assert list(AuditRetention(engine, KEYS).executions(ALL)) == [4]
    written.write([an_event(job_id="after")])
    assert (check.executions().broken, AuditReader(engine).count_executions()) == (None, 1)


def test_a_cut_that_retention_did_not_make_is_found(
    engine: Engine, check: AuditCheck, written: AuditWriter
) -> None:
    change(
        engine,
        "UPDATE audit_chains SET cut_number = 1, cut_hash = (SELECT hash FROM audit_batches WHERE number = 1)"
        " WHERE name = 'executions'",
        "DELETE FROM job_executions WHERE id <= 3",
        "DELETE FROM audit_batches WHERE number = 1",
    )
    assert "its head, 3, is not as" in (check.executions().broken or "")


def test_rows_from_before_the_chain_are_counted_and_go_when_they_are_old(
    engine: Engine, check: AuditCheck, written: AuditWriter
) -> None:
    change(
        engine,
        "DELETE FROM audit_batches",
        "UPDATE audit_chains SET number = 0, hash = cut_hash, at = '', seal = '', before_id = 9"
        " WHERE name = 'executions'",
    )
    written.write([an_event(job_id="later")])
    found = check.executions()
    assert (found.broken, found.before, found.rows) == (None, 9, 1)
    assert list(AuditRetention(engine, KEYS).executions(ALL)) == [9, 1]
    assert (check.executions().broken, check.executions().before) == (None, 0)


def test_what_operators_did_is_told_with_its_end(actions: OperatorActions) -> None:
    act = Act("ada@host", "tenant.pause", "acme", "acme", reason="a leak\0")
    actions.begin(act)
    cut_off, second, first = actions.read()
    assert (cut_off.action, cut_off.ended_at, cut_off.reason) == ("tenant.pause", None, "a leak�")
    assert (second.target, second.count, second.failed) == ("pdf-generate", 3, False)
    assert second.ended_at is not None
    assert second.began_at <= second.ended_at
    assert first.parameters == {"delayed": True}
    assert actions.read("nobody") == []


@pytest.mark.parametrize(
    ("tampering", "place"),
    [
        ("UPDATE operator_actions SET operator = 'bob@host' WHERE number = 3", "action 3 is not as"),
        ("UPDATE operator_actions SET count = 0 WHERE number = 2", "action 2 is not as"),
        ("UPDATE operator_actions SET tenant_id = 'bolt' WHERE number = 1", "action 1 is not as"),
        ("DELETE FROM operator_actions WHERE number = 2", "action 2 is missing"),
        ("DELETE FROM operator_actions WHERE number = 4", "what was written after 3 is missing, up to 4"),
        (
            "UPDATE operator_actions SET number = -number WHERE number IN (1, 3)",
            "action 1 is missing",
        ),
        (
            f"INSERT INTO operator_actions SELECT 5, {_REST} FROM operator_actions WHERE number = 4",
            "action 5 is not as it was written",
        ),
        (
            f"INSERT INTO operator_actions SELECT 0, {_REST} FROM operator_actions WHERE number = 4",
            "action 0 was inserted",
        ),
    ],
)
def test_what_was_done_to_an_action_is_named(
    engine: Engine, check: AuditCheck, actions: OperatorActions, tampering: str, place: str
) -> None:
    change(engine, tampering)
    assert place in (check.operators().broken or "")


def test_actions_in_another_order_are_found(
    engine: Engine, check: AuditCheck, actions: OperatorActions
) -> None:
    moves = [
        f"UPDATE operator_actions SET number = {to} WHERE number = {of}"
        for of, to in ((1, 99), (3, 1), (99, 3))
    ]
    change(engine, *moves)
    assert "action 1 is not as it was written, or not in its place" in (check.operators().broken or "")


def test_old_actions_go_and_the_rest_holds(
    engine: Engine, check: AuditCheck, actions: OperatorActions
) -> None:
    assert list(AuditRetention(engine, KEYS).operators(timedelta(days=1))) == []
    assert list(AuditRetention(engine, KEYS).operators(ALL)) == [4]
    act = Act("ada@host", "audit.clean")
    actions.begin(act)
    found = check.operators()
    assert (found.broken, found.links) == (None, 1)


@pytest.mark.timeout(180)
def test_writers_of_several_processes_make_one_chain(database_url: str, engine: Engine) -> None:
    processes, rounds = 2, 8
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(processes), spawn.Queue()
    started = [
        spawn.Process(target=_write, args=(database_url, name, rounds, barrier, results))
        for name in range(processes)
    ]
    for process in started:
        process.start()
    assert [results.get(timeout=150) for _ in started] == [""] * processes
    for process in started:
        process.join()
    executions, operators = AuditCheck(engine, KEYS).executions(), AuditCheck(engine, KEYS).operators()
    assert (executions.broken, executions.rows) == (None, processes * rounds * 20)
    assert (operators.broken, operators.rows) == (None, processes * rounds * 2)


def _write(url: str, name: int, rounds: int, barrier: Barrier, results: "multiprocessing.Queue[str]") -> None:
    engine = make_engine(url)
    barrier.wait(120)
    try:
        for number in range(rounds):
            # Those of process 0 are written by both: a reader died before it acknowledged them.
            own = [an_event(job_id=f"{name}-{number}-{place}") for place in range(20)]
            AuditWriter(engine, KEYS).write(own)
            AuditWriter(engine, KEYS).write([an_event(job_id=f"0-{number}-{place}") for place in range(20)])
            act = Act(f"process-{name}", "queue.pause", "email-sync")
            acts = OperatorActions(engine, KEYS)
            acts.end(acts.begin(act), act, failed=False)
        results.put("")
    except BaseException as error:
        results.put(repr(error))
    engine.dispose()
