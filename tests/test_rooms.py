"""The rooms keep to the table of who may import whom: the contract is seen to fail on a breach."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = [
    "settings",
    "jobs",
    "middleware",
    "broker",
    "database",
    "integrations",
    "actors",
    "scheduling",
    "control",
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache", "--config", "pyproject.toml"]
    environment = {"PYTHONPATH": str(folder), "PATH": ""}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("room", "breach"),
    [
        ("jobs", "import settings"),
        ("settings", "import jobs.model"),
        ("broker", "from settings import Settings"),
        ("middleware", "import broker.redis.keys"),
        ("database", "import integrations.errors"),
        ("integrations", "import jobs.model"),
        ("actors", "import control.service"),
        ("actors", "import scheduling"),
        ("scheduling", "import control.service"),
        ("control", "import redis"),
        ("database", "import dramatiq"),
        ("broker/worker", "import redis"),
        ("broker/redis", "import broker.worker.pace"),
    ],
)
def test_a_breach_is_found(copy: Path, room: str, breach: str) -> None:
    (copy / room / "breach.py").write_text(f'"""A breach."""\n\n{breach}\n')
    done = lint(copy)
    assert done.returncode != 0, done.stdout
    assert f"{room.replace('/', '.')}.breach" in done.stdout


def test_the_rooms_as_they_are_keep_to_it(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr
