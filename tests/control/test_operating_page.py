"""docs/operating.md: every command that it shows works."""

import re
import shlex
from pathlib import Path

import pytest

from actors import app
from jobs.model import NewJob, Outcome, WorkerInfo
from middleware.sealing import Keyring
from tests.control.board import work
from tests.sealed import KEY
from tests.tables import give_tables

PAGE = Path(__file__).parents[2] / "docs" / "operating.md"
SHOWN = re.findall(r"^    callboard (.*)$", PAGE.read_text(), re.MULTILINE)
QUEUE = "report-generate"


@pytest.fixture
def board(memory, monkeypatch):
    """A worker, a delayed job of acme, a failed one, and a key of the fleet."""
    monkeypatch.setattr(app.sealing, "ring", Keyring({1: KEY}, None, Path("/nowhere")))
    give_tables(app.engine())
    memory.register(WorkerInfo("vm:4711", "vm", 4711, "0.1", 8, (QUEUE,), 1_000), lease_ms=60_000)
    memory.enqueue([NewJob("ID", QUEUE, "report_generate", b"", lane="acme")])
    work(memory, QUEUE, Outcome.FAILED, b'{"error": {"type": "Timeout"}}')
    memory.enqueue([NewJob("acme~bill-7", QUEUE, "report_generate", b"", lane="acme", delay_ms=3_600_000)])
    return memory


@pytest.mark.parametrize("shown", [line for line in SHOWN if not line.startswith("doctor")])
def test_the_command_works(here, board, shown):
    arguments = [word for word in shlex.split(shown, comments=True) if word != "…"]
    if arguments[:2] == ["jobs", "cancel"]:
        board.retry_dead(["ID"])
        arguments = list(dict.fromkeys(arguments))

    result = here(*arguments)

    assert result.returncode == 0, result.stderr
    assert result.stdout


def test_the_page_shows_every_command_of_queues_tenants_and_workers():
    from control.cli import limits, queues, workers

    for name, group in (("queues", queues.app), ("tenants", limits.tenants), ("workers", workers.app)):
        for command in group.registered_commands:
            verb = command.name or command.callback.__name__
            assert any(line.startswith(f"{name} {verb}") for line in SHOWN) or verb == "restore", verb
