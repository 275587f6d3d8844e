"""Reads the TOML file and refuses keys that mean nothing."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from settings.catalogue import QUEUES
from settings.errors import SettingsError, suggestion
from settings.model import KeyPath, Settings
from settings.shape import Node, is_section, is_table, keys_of, step

DEFAULT_NAME = "callboard.toml"


def read_toml(named: str | None, cwd: Path) -> tuple[dict[str, Any], str]:
    """The tree in the file, and the file's name for messages.

    `named` is the path that the user gave, relative to `cwd`; without one, `callboard.toml` may be absent.
    Raises SettingsError when the file cannot be read or holds an unknown key.
    """
    label = named or DEFAULT_NAME
    path = cwd / Path(label).expanduser()
    if named is None and not path.exists():
        return {}, label
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        problem = (
            f"CALLBOARD_CONFIG names {label}, which does not exist; write the file or unset the variable."
        )
    except OSError as error:
        problem = f"{label} cannot be read ({error.strerror}); mend its permissions or name another file."
    except UnicodeDecodeError:
        problem = f"{label} is not UTF-8 text; save it as UTF-8."
    except tomllib.TOMLDecodeError as error:
        problem = f"{label} is not valid TOML: {str(error)[:1].lower()}{str(error)[1:]}."
    else:
        _refuse_unknown(tree, Settings, (), label)
        return tree, label
    raise SettingsError(problem)


def leaves(tree: Mapping[str, Any], node: Node = Settings, path: KeyPath = ()) -> Iterator[KeyPath]:
    """The path of every single value in the tree."""
    for key, value in tree.items():
        below = step(node, key)
        if isinstance(value, Mapping) and (is_section(below) or is_table(below)):
            yield from leaves(value, below, (*path, key))
        else:
            yield (*path, key)


def _refuse_unknown(tree: Mapping[str, Any], node: Node, path: KeyPath, label: str) -> None:
    for key, value in tree.items():
        dotted = ".".join((*path, key))
        below = step(node, key)
        if below is None:
            right = [".".join((*path, option)) for option in keys_of(node)]
            raise SettingsError(f"Unknown key {dotted} in {label}: {suggestion(dotted, right)}")
        twin = key.lower().replace("_", "-")
        if path == ("queues",) and key not in QUEUES and twin in QUEUES:
            raise SettingsError(f"Unknown queue {dotted} in {label}: did you mean queues.{twin}?")
        if isinstance(value, dict):
            _refuse_unknown_below(value, below, (*path, key), label)


def _refuse_unknown_below(tree: dict[str, Any], node: Node, path: KeyPath, label: str) -> None:
    if is_section(node) or is_table(node):
        _refuse_unknown(tree, node, path, label)
