"""`callboard demo`, as a newcomer runs it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CALLBOARD = Path(sys.executable).parent / "callboard"


def run_demo(home: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.defpath, "HOME": str(home.parent), "CALLBOARD_HOME": str(home)}
    return subprocess.run(
        [CALLBOARD, "demo"], env=environment, capture_output=True, text=True, timeout=110, check=False
    )


@pytest.mark.timeout(120)
def test_the_demo_ends_by_itself_and_its_books_balance(tmp_path: Path) -> None:
    demo = run_demo(tmp_path / "home")

    assert demo.returncode == 0, demo.stderr
    assert re.search(r"(\d+) attempts, \1 audit rows: equal", demo.stdout)
    assert "is killed with SIGKILL" in demo.stdout.replace("\n", " ")
    assert re.search(r"Dead letter: webhook refused, because \w+: .", demo.stdout)
    assert "callboard jobs retry ID" in demo.stdout
    formats = {path.suffix for path in (tmp_path / "home").glob("demo/*/reports/*")}
    assert formats == {".pdf", ".xlsx", ".csv"}


def test_a_folder_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file, not a folder")

    demo = run_demo(tmp_path / "home")

    assert demo.returncode == 1
    assert re.fullmatch(
        r"The demo failed: The folder \S+ cannot be made \(.*\); set CALLBOARD_HOME\.\n", demo.stderr
    )
