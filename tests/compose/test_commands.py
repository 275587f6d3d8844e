"""Whatever a container is told to run is there, and takes the arguments it is given."""

import json
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from dramatiq.cli import make_argument_parser

from tests.compose.reading import COMPOSE, ROOT, dockerfile, ours, pyproject, services


def commands() -> list[tuple[str, ...]]:
    """Every command of a service or of the image, and of every health check of ours."""
    found = [tuple(service["command"]) for service in ours().values()]
    checks = [service["healthcheck"].get("test", ["CMD"]) for service in ours().values()]
    found += [tuple(check[1:]) for check in checks]
    for word, rest in dockerfile():
        if word in ("CMD", "HEALTHCHECK"):
            found.append(tuple(json.loads(rest[rest.index("[") :])))
    return sorted({command for command in found if command})


def commands_in_the_readme() -> list[tuple[str, ...]]:
    text = (COMPOSE / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"docker compose exec \w+ (callboard(?: [a-z][a-z-]*)+)", text)
    return sorted({tuple(command.split()) for command in found})


OURS = [command for command in (*commands(), *commands_in_the_readme()) if command[0] == "callboard"]


def test_the_containers_run_nothing_but_callboard_and_plain_dramatiq() -> None:
    assert {command[0] for command in commands()} == {"callboard", "dramatiq"}


def test_both_programs_come_with_the_image() -> None:
    assert "callboard" in pyproject()["project"]["scripts"]
    (dramatiq,) = entry_points(group="console_scripts", name="dramatiq")
    assert dramatiq.dist is not None
    locked = (ROOT / "locks/runtime.txt").read_text(encoding="utf-8")
    assert re.search(rf"^{dramatiq.dist.name}==", locked, re.MULTILINE)


@pytest.mark.parametrize("command", sorted(set(OURS)), ids=" ".join)
def test_callboard_has_the_command(command: tuple[str, ...]) -> None:
    program = Path(sys.executable).with_name(command[0])

    answer = subprocess.run([program, *command[1:], "--help"], capture_output=True, text=True, cwd="/")

    assert answer.returncode == 0, answer.stderr
    assert " ".join(command) in answer.stdout  # not the help of the group above it


@pytest.mark.parametrize("command", [command for command in commands() if command[0] == "dramatiq"])
def test_dramatiq_takes_the_arguments_and_starts_one_process(command: tuple[str, ...]) -> None:
    parsed = make_argument_parser().parse_args(list(command[1:]))

    assert (parsed.broker, parsed.processes) == ("actors", 1)


def test_the_readme_names_only_services_that_exist() -> None:
    text = (COMPOSE / "README.md").read_text(encoding="utf-8")
    addressed = re.findall(r"docker compose (?:exec|cp|logs|stop)(?: -+\w+)* ([a-z-]+)", text)

    assert addressed
    assert {*addressed, *re.findall(r"worker-[a-z]+", text)} <= set(services())
