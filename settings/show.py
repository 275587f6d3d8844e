"""Every effective value, with its source and without its secrets, for `callboard config show`."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, SecretStr

from settings.model import KeyPath, Settings

MASK = "********"
UNSET = "(unset)"
_SECRET_PARAMETER = re.compile(r"([?&][^=&]*(?:pass|secret|token|key)[^=&]*=)[^&#]*", re.IGNORECASE)


class ConfigLine(NamedTuple):
    """One value: its dotted key, how it may be shown, and where it came from."""

    key: str
    value: str
    source: str


def describe(settings: Settings, under: str = "") -> list[ConfigLine]:
    """Every effective value whose key starts with `under` (all by default), in the order of the models.

    The source is `default`, the name of the TOML file, or `environment NAME`.
    """
    effective: dict[KeyPath, str] = {
        ("database", "url"): mask_url(settings.database_url),
        ("workers", "id"): settings.workers.effective_id,
        ("reports", "folder"): str(settings.reports_folder),
    }
    return [
        ConfigLine(".".join(path), effective.get(path) or value, settings.sources.get(path, "default"))
        for path, value in _values(settings, ())
        if not under or ".".join(path).startswith(under)
    ]


def mask_url(url: str) -> str:
    """The URL with its password, and any parameter that looks like one, hidden."""
    try:
        parts = urlsplit(url)
        secret = parts.password is not None
    except ValueError:
        return MASK
    if secret:
        host = parts.netloc.rpartition("@")[2]
        url = urlunsplit(parts._replace(netloc=f"{parts.netloc.partition(':')[0]}:{MASK}@{host}"))
    return _SECRET_PARAMETER.sub(rf"\g<1>{MASK}", url)


def _values(node: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(node, BaseModel):
        for name in type(node).model_fields:
            yield from _values(getattr(node, name), (*path, name))
    elif isinstance(node, Mapping) and path[-1] != "args":
        for name, value in node.items():
            yield from _values(value, (*path, str(name)))
    else:
        yield path, _shown(node, path)


def _shown(value: object, path: KeyPath) -> str:
    if value is None:
        return UNSET
    if isinstance(value, SecretStr):
        return mask_url(value.get_secret_value()) if path[-1] == "url" else MASK
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "(none)"
    if isinstance(value, Mapping):
        # The arguments of a schedule may be personal: only their names are shown.
        return ", ".join(value) or "(none)"
    text = str(value)
    return mask_url(text) if "://" in text else text
