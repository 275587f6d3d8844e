"""What production logs look like."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

PROGRAM = """
import logging
logging.basicConfig(level=logging.INFO)
import actors
logging.getLogger("some.where").warning("a %s", "word")
"""


def logged(**environment: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={"PATH": os.defpath, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stderr.strip().splitlines()[-1]


def test_production_logs_are_json() -> None:
    line = json.loads(logged(CALLBOARD_ENV="production"))
    assert (line["level"], line["logger"], line["event"]) == ("warning", "some.where", "a word")
    assert "timestamp" in line


def test_other_logs_are_for_people() -> None:
    assert logged() == "WARNING:some.where:a word"
