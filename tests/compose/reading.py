"""The files of `compose/` as the tests read them."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose"
FILLED_IN = {"REDIS_PASSWORD": "ab12", "POSTGRES_PASSWORD": "cd34", "FLEET_KEY": "ef56" * 16}
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)\}")


def compose_file() -> dict[str, Any]:
    """compose.yaml, its variables as they are written."""
    return YAML(typ="safe").load(COMPOSE / "compose.yaml")


def services() -> dict[str, dict[str, Any]]:
    return compose_file()["services"]


def ours() -> dict[str, dict[str, Any]]:
    """The services that run our image."""
    return {name: service for name, service in services().items() if "build" in service}


def workers() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in ours().items() if name.startswith("worker-")}


def variables(text: str) -> set[str]:
    """The names that Compose takes from `.env`."""
    return {found[1] for found in _VARIABLE.finditer(text)}


def filled_in(text: str) -> str:
    """A value as Compose makes it from a filled-in `.env`."""
    return _VARIABLE.sub(lambda found: FILLED_IN.get(found[1], found[2] or ""), text).replace("$$", "$")


def environment(service: dict[str, Any]) -> dict[str, str]:
    """What a container of our image gets: the image's variables, then the service's."""
    own = {name: filled_in(value) for name, value in service["environment"].items()}
    return image_environment() | own


def image_environment() -> dict[str, str]:
    pairs = [pair for word, rest in last_stage() if word == "ENV" for pair in shlex.split(rest)]
    return dict(pair.split("=", 1) for pair in pairs)


def dockerfile() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile: the word and the rest."""
    text = (COMPOSE / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined)]


def last_stage() -> list[tuple[str, str]]:
    """What makes the finished image."""
    every = dockerfile()
    begin = max(place for place, (word, _) in enumerate(every) if word == "FROM")
    return every[begin:]


def copied() -> list[str]:
    """What is copied from the checkout."""
    rests = [rest.split() for word, rest in dockerfile() if word == "COPY" and "--from" not in rest]
    return [source for words in rests for source in words[:-1]]


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
