"""`callboard demo`, as a newcomer runs it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

CALLBOARD = Path(sys.executable).parent / "callboard"


class Demo(NamedTuple):
    home: Path
    code: int
    screen: str
    errors: str

    @property
    def text(self) -> str:
        """What is on the screen as one line, wherever it was wrapped."""
        return " ".join(self.screen.split())


def run_demo(home: Path) -> Demo:
    environment = {"PATH": os.defpath, "HOME": str(home.parent), "CALLBOARD_HOME": str(home)}
    done = subprocess.run(
        [CALLBOARD, "demo"], env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    return Demo(home, done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    done = run_demo(tmp_path_factory.mktemp("newcomer") / "home")
    assert done.code == 0, done.errors
    return done


# The first of these tests waits for the demo.
pytestmark = pytest.mark.timeout(300)


def test_the_demo_ends_by_itself_and_its_books_balance(demo: Demo) -> None:
    balance = re.search(r"(\d+) attempts, (\d+) audit rows: equal", demo.text)
    assert balance is not None
    assert balance[1] == balance[2]
    rows = re.findall(r"│ [^│]+│ [a-z-]+ +│ \w+ +│ +(\d+) │", demo.screen)
    together = re.search(r"│ together +│ +│ \d+ jobs +│ +(\d+) │", demo.screen)
    assert together is not None
    assert sum(map(int, rows)) == int(together[1]) == int(balance[1])


def test_nothing_is_said_on_standard_error(demo: Demo) -> None:
    assert demo.errors == ""


def test_no_sentence_is_wider_than_a_terminal_of_80_columns(demo: Demo) -> None:
    acts = demo.screen.partition("Logs and data")[0].splitlines()
    wide = [line for line in acts if len(line) > 80]
    # What is copied from the screen is not broken: commands, files, and the reason of a dead letter.
    assert all(re.match(r"  \$ |  /|  \w[\w ]*: |Dead letter|With `make up`", line) for line in wide), wide


def test_a_killed_workers_job_ends_elsewhere_and_reports_are_rendered(demo: Demo) -> None:
    assert "is killed with SIGKILL" in demo.text
    assert re.search(r"sync archive +│ email-sync +│ completed +│ +2 ", demo.screen)
    formats = {path.suffix for path in demo.home.glob("demo/*/reports/*") if path.is_file()}
    assert formats == {".pdf", ".xlsx", ".csv"}


def test_a_webhook_that_is_refused_is_a_dead_letter_with_its_reason(demo: Demo) -> None:
    assert re.search(r"Dead letter: webhook refused, because \w+: .", demo.text)
    assert "callboard jobs retry ID" in demo.text


def test_private_arguments_are_nowhere_in_clear_and_go_with_their_tenants_key(demo: Demo) -> None:
    assert re.search(r"The job's id is in them [1-9]\d* times, the private arguments 0 times\.", demo.text)
    assert "The worker read them: a contract for Jürgen Weiß, account ending in 3000." in demo.text
    assert "The same result now: it cannot be read: The key of tenant 'nordwind' was shredded" in demo.text
    kept = [path for path in demo.home.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"DE89370400440532013000" in path.read_bytes()]


def test_a_tenant_at_its_limit_waits_and_another_does_not(demo: Demo) -> None:
    held = re.search(r"used 5, left 0, (\d+) jobs wait; the report of globex, sent later, is", demo.text)
    assert held is not None
    assert int(held[1]) > 0
    assert "because the limit reports is used up for acme" in demo.text
    assert "$ callboard limits set reports --tenant acme --limit 60" in demo.text


def test_a_cancelled_job_ends_at_once_and_clears_up(demo: Demo) -> None:
    cancelled = re.search(
        r"([\d.]+) s later it is cancelled \(wrong file\); its file of (\d+) rows", demo.text
    )
    assert cancelled is not None
    assert float(cancelled[1]) < 10  # of the twenty seconds and more that the import would have taken
    assert int(cancelled[2]) > 0
    assert re.search(r"import +│ demo-import +│ cancelled +│ +1 ", demo.screen)
    assert not list(demo.home.glob("demo/*/import/*"))


def test_a_resumed_job_runs_each_step_once(demo: Demo) -> None:
    assert "2 attempts; how often each step ran: account 1, contract 1, welcome 1." in demo.text


def test_a_canary_stops_while_the_cause_is_there_and_then_runs_all_again(demo: Demo) -> None:
    assert "1 of 1 jobs failed as before; the others stay as they are" in demo.text
    assert "Run again: 1, then 11, then 12 of 12; none failed as before." in demo.text
    assert re.search(r"12 for partner +│ webhook-deliver +│ completed +│ +25 ", demo.screen)


def test_a_folder_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file, not a folder")

    demo = run_demo(tmp_path / "home")

    assert demo.code == 1
    assert re.fullmatch(
        r"The demo failed: The folder \S+ cannot be made \(.*\); set CALLBOARD_HOME\.\n", demo.errors
    )
