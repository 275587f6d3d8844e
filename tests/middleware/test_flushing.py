"""The end of a process waits for what is on its way, and not for somebody who never answers."""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import threading
from middleware.flushing import flush_at_end
def flush():
    threading.Event().wait({seconds})
    print("flushed", flush=True)
flush_at_end(flush, "test")
print("stored", flush=True)
"""


def ended(seconds: float) -> tuple[list[str], float]:
    began = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(seconds=seconds)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    return ran.stdout.split(), time.monotonic() - began


def test_the_last_outcomes_do_not_wait_for_it_and_it_is_not_cut_short() -> None:
    assert ended(0.5)[0] == ["stored", "flushed"]


def test_who_never_answers_is_left_after_two_seconds() -> None:
    said, took = ended(60)
    assert said == ["stored"]
    assert took < 25
