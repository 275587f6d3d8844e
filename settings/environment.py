"""Which environment variable sets which key.

The names of the requirement documents are kept; every other key is `CALLBOARD_SECTION__KEY`. Upper case
stands for both cases and `_` for `-`: `CALLBOARD_QUEUES__EMAIL_SYNC__CONCURRENCY` is
`queues.email-sync.concurrency`. An empty variable counts as unset. The longer name wins over the kept one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from settings.errors import SettingsError, suggestion
from settings.model import KeyPath, Settings
from settings.shape import Node, is_section, is_table, keys_of, step

PREFIX = "CALLBOARD_"
CONFIG = "CALLBOARD_CONFIG"

KEPT_NAMES: dict[str, KeyPath] = {
    "REDIS_URL": ("redis", "url"),
    "REDIS_HOST": ("redis", "host"),
    "REDIS_PORT": ("redis", "port"),
    "REDIS_USERNAME": ("redis", "username"),
    "REDIS_PASSWORD": ("redis", "password"),
    "REDIS_TLS": ("redis", "tls"),
    "DATABASE_URL": ("database", "url"),
    "SENTRY_DSN": ("sentry", "dsn"),
    "SENTRY_ENVIRONMENT": ("sentry", "environment"),
    "SENTRY_RELEASE": ("sentry", "release"),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("telemetry", "otlp_endpoint"),
    "OTEL_EXPORTER_OTLP_HEADERS": ("telemetry", "otlp_headers"),
    "OTEL_SERVICE_NAME": ("telemetry", "service_name"),
    "WORKER_TYPE": ("workers", "type"),
    "WORKER_ID": ("workers", "id"),
    "WORKER_CONCURRENCY": ("workers", "threads"),
    "START_WORKERS": ("workers", "start"),
    "QUEUE_BACKOFF_STRATEGY": ("queue_defaults", "backoff", "type"),
    "QUEUE_MAX_RETRIES": ("queue_defaults", "attempts"),
    "SMTP_HOST": ("smtp", "host"),
    "SMTP_PORT": ("smtp", "port"),
    "SMTP_USER": ("smtp", "username"),
    "SMTP_PASS": ("smtp", "password"),
    "NODE_ENV": ("env",),
    "CALLBOARD_ENV": ("env",),
    "CALLBOARD_HOME": ("home",),
}


def read_environment(
    environ: Mapping[str, str], below: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[KeyPath, str]]:
    """What the environment sets, as a tree like a TOML file's, and the variable behind each value.

    `below` holds the tables that are known already, so that `EMAIL_SYNC` finds `email-sync`.
    Raises SettingsError for a `CALLBOARD_` variable that sets nothing.
    """
    tree: dict[str, Any] = {}
    variables: dict[KeyPath, str] = {}

    def put(path: KeyPath, value: Any, name: str) -> None:
        place = tree
        for key in path[:-1]:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise SettingsError(
                    f"{name} and {variables[path[:-1]]} set the same key twice; keep one of them."
                )
        place[path[-1]] = value
        variables[path] = name

    for name, path in KEPT_NAMES.items():
        value = environ.get(name, "")
        # Other programs use NODE_ENV with words of their own, such as "test".
        if value and (name != "NODE_ENV" or value in {"production", "development"}):
            put(path, _attempts(value) if name == "QUEUE_MAX_RETRIES" else value, name)
    for name in sorted(environ):
        if name.startswith(PREFIX) and name != CONFIG and name not in KEPT_NAMES:
            path = _path(name, below)
            if environ[name]:
                put(path, environ[name], name)
    return tree, variables


def _path(name: str, below: Mapping[str, Any]) -> KeyPath:
    node: Node = Settings
    known: Any = below
    path: list[str] = []
    for part in name.removeprefix(PREFIX).split("__"):
        key = _named(part, known) if is_table(node) else part.lower()
        down = step(node, key) if part else None
        if down is None:
            right = sorted({CONFIG, *KEPT_NAMES, *_all_names(Settings, PREFIX, below)})
            right = [option for option in right if option.startswith(PREFIX)]
            raise SettingsError(f"Unknown environment variable {name}: {suggestion(name, right)}")
        node, known = down, known.get(key) if isinstance(known, Mapping) else None
        path.append(key)
    if is_section(node):
        example = f"{name}__{keys_of(node)[0].upper()}"
        raise SettingsError(f"{name} names a whole section; set one of its keys, such as {example}.")
    return tuple(path)


def _named(part: str, known: Any) -> str:
    """The entry of a table that an upper-case word means: one that is there, or a new one with hyphens."""
    if isinstance(known, Mapping):
        for name in known:
            if _shouted(name) == part.upper():
                return str(name)
    return part.lower().replace("_", "-")


def _shouted(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name.upper())


def _all_names(node: Node, prefix: str, known: Any) -> Iterator[str]:
    if is_section(node):
        keys = keys_of(node)
    elif is_table(node):
        keys = [str(key) for key in known] if isinstance(known, Mapping) else []
    else:
        yield prefix.removesuffix("__")
        return
    for key in keys:
        down = known.get(key) if isinstance(known, Mapping) else None
        yield from _all_names(step(node, key), f"{prefix}{_shouted(key)}__", down)


def _attempts(retries: str) -> int:
    """QUEUE_MAX_RETRIES counts the attempts after the first (S2; CATALOGUE section 1)."""
    if not retries.strip().isdecimal():
        raise SettingsError(f"QUEUE_MAX_RETRIES must be a whole number from 0, not {retries!r}.")
    return int(retries) + 1
