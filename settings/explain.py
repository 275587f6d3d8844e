"""Turns what pydantic found into one plain sentence that holds no secret."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from settings.errors import SettingsError, suggestion
from settings.model import KeyPath, Settings
from settings.shape import Node, is_secret, is_section, is_single, keys_of, walk

_PLAIN = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text in quotes",
    "string_too_short": "must not be empty",
    "path_type": "must be a path in quotes",
    "tuple_type": 'must be a list such as ["one", "two"]',
    "missing": "is missing; add it",
}
_WITH_VALUE = frozenset(_PLAIN) - {"missing", "string_too_short"}
_SECTIONS = {"model_type", "model_attributes_type", "dict_type", "mapping_type"}
_BOUNDS = {
    "greater_than_equal": ("ge", "must be at least"),
    "greater_than": ("gt", "must be more than"),
    "less_than_equal": ("le", "must be at most"),
    "less_than": ("lt", "must be less than"),
}


def explain(error: ValidationError, sources: Mapping[KeyPath, str]) -> SettingsError:
    """The first problem, as the exception to raise."""
    first = error.errors(include_url=False)[0]
    context: dict[str, Any] = first.get("ctx", {})
    loc = context["key"] if "key" in context else tuple(str(part) for part in first["loc"])
    node, path = walk(Settings, loc)
    if first["type"] == "extra_forbidden":
        wrong = ".".join(loc)
        right = [".".join((*path, key)) for key in keys_of(node)]
        return SettingsError(f"Unknown key {wrong}{_origin(loc, sources)}: {suggestion(wrong, right)}")
    problem, shows_value = _problem(first["type"], first["msg"], context, node)
    value = f", not {first['input']!r}" if shows_value and _may_show(first["input"], node, path) else ""
    other = context.get("other") or path[:-1]
    origin = _origin(path, sources) or _origin(other, sources)
    return SettingsError(f"{'.'.join(path) or 'The settings'} {problem}{value}{origin}.")


def _problem(kind: str, message: str, context: Mapping[str, Any], node: Node) -> tuple[str, bool]:
    """What is wrong, and whether the value helps to see it."""
    if kind in _PLAIN:
        return _PLAIN[kind], kind in _WITH_VALUE
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{words} {context[bound]}", True
    if kind in _SECTIONS:
        return _section_problem(node), False
    if kind == "literal_error":
        return f"must be one of {context['expected']}", True
    if kind == "callboard":
        return message, False
    if kind == "value_error":
        return str(context["error"]), True
    return f"cannot be used: {message[:1].lower()}{message[1:]}", False


def _section_problem(node: Node) -> str:
    if is_section(node):
        return f"is a section; set its keys ({', '.join(keys_of(node)[:4])} …), not one value"
    return "is a table; give it entries by name, not one value"


def _may_show(value: object, node: Node, path: KeyPath) -> bool:
    if not is_single(node) or is_secret(node) or path[-1:] == ("url",):
        return False
    # An address may hold a password, wherever it was put.
    return isinstance(value, (str, int, float)) and not set("@/") & set(str(value)) and len(str(value)) <= 60


def _origin(path: KeyPath, sources: Mapping[KeyPath, str]) -> str:
    """` (callboard.toml)`: the source of the value, or of what lies under or around it."""
    found = sources.get(path)
    if found is None:
        near = [key for key in sources if key[: len(path)] == path or path[: len(key)] == key]
        found = sources[near[0]] if near and path else None
    return f" ({found})" if found else ""
