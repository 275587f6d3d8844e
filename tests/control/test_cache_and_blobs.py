"""`callboard cache clear` and `callboard blobs sweep`, and the first over HTTP."""

import pytest

from actors import app
from control.service.outcomes import BlobActions, CacheActions, CacheRequest
from database.operator_actions import OperatorActions
from jobs.errors import UnknownActor
from jobs.model import CacheEntry, FetchRequest, NewJob, Outcome, Verdict
from tests.tables import give_tables

QUEUE, ACTOR = "report-generate", "report_generate"


@pytest.fixture
def board(memory):
    """Results of two tenants."""
    give_tables(app.engine())
    for tenant in ("acme", "globex"):
        memory.enqueue([NewJob(tenant, QUEUE, ACTOR, b"", lane=tenant)])
        (job,) = memory.fetch(FetchRequest("w", tenant, 1, {QUEUE: 1})).jobs
        entry = CacheEntry(f"{ACTOR}\x1f{tenant}\x1f0:abc", b"{}", 60_000)
        memory.settle("w", [Verdict(job.id, job.token, Outcome.COMPLETED, cache=entry)])
    return memory


def test_the_results_of_one_tenant_or_of_all_are_forgotten(board):
    actions = CacheActions(app, "ada")
    assert actions.clear(CacheRequest(actor=ACTOR, tenant_id="acme")).cleared == 1
    assert board.cached(QUEUE, f"{ACTOR}\x1fglobex\x1f0:abc") == b"{}"
    assert actions.clear(CacheRequest(actor=ACTOR)).cleared == 1
    with pytest.raises(UnknownActor, match="no actor named 'nobody'"):
        actions.clear(CacheRequest(actor="nobody"))
    rows = OperatorActions(app.engine(), app.chain_keys()).read()
    assert {row.action for row in rows} >= {"cache.clear"}


def test_the_command_says_how_many(here, board):
    result = here("cache", "clear", ACTOR, "--tenant", "acme")
    assert (result.returncode, result.stdout) == (0, f"1 result of {ACTOR} forgotten\n"), result.stderr


def test_blobs_without_a_job_are_removed(here, board, monkeypatch):
    blobs = app.blobs()
    blobs.put("0" * 32, "gone", b"12345")
    blobs.put("1" * 32, "acme", b"12345")
    assert list(BlobActions(app, "ada").sweep()) == []  # they are young
    later = blobs.page("", 10**15, 1)[0][3] + 10**7
    monkeypatch.setattr("actors.upkeep.time.time_ns", lambda: later * 1_000_000)
    (done,) = BlobActions(app, "ada").sweep()
    assert (done.looked, done.removed, done.bytes) == (2, 1, 5)
    assert blobs.get("1" * 32) == b"12345"


def test_the_sweep_is_a_command(here, board):
    result = here("blobs", "sweep")
    assert result.returncode == 0, result.stderr
    assert "removed 0" in result.stdout
