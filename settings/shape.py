"""The tree of keys that the models allow, read from their type hints."""

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from settings.model import KeyPath

Node = Any
"""A model class, a Mapping type, or the type of a single value."""


def is_section(node: Node) -> bool:
    """Whether the node has fixed keys."""
    return isinstance(node, type) and issubclass(node, BaseModel)


def is_table(node: Node) -> bool:
    """Whether the node has keys that the user names, with values of a described shape."""
    return get_origin(node) is not None and _is_mapping(node) and get_args(node)[1] is not Any


def is_single(node: Node) -> bool:
    """Whether the node is one value: neither a section nor a mapping of any kind."""
    return not is_section(node) and not _is_mapping(node)


def keys_of(node: Node) -> list[str]:
    """The fixed keys of a section."""
    return list(node.model_fields) if is_section(node) else []


def step(node: Node, key: str) -> Node | None:
    """What lies under one key; None when the key is not allowed or the node is a single value."""
    if is_section(node):
        field = node.model_fields.get(key)
        return None if field is None else _bare(field.annotation)
    return _bare(get_args(node)[1]) if is_table(node) else None


def walk(root: Node, path: KeyPath) -> tuple[Node, KeyPath]:
    """The node at the end of a path, and the part of the path that exists."""
    node = root
    for depth, key in enumerate(path):
        below = step(node, key)
        if below is None:
            return node, path[:depth]
        node = below
    return node, path


def is_secret(node: Node) -> bool:
    """Whether a single value is one that must never be shown."""
    return node is SecretStr or any(is_secret(arg) for arg in get_args(node))


def _bare(hint: Any) -> Node:
    """The type without Annotated and without `| None` around a section."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    alias = getattr(hint, "__value__", None)
    if alias is not None:
        return _bare(alias)
    if get_origin(hint) in (Union, UnionType):
        some = [arg for arg in get_args(hint) if arg is not type(None)]
        if len(some) == 1:
            return _bare(some[0])
    return hint


def _is_mapping(node: Node) -> bool:
    origin = get_origin(node)
    return isinstance(origin, type) and issubclass(origin, Mapping)
