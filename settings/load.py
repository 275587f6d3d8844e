"""Reads the configuration: defaults, then the TOML file, then the environment (DESIGN section 2)."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from settings import aliases, catalogue
from settings.environment import CONFIG, read_environment
from settings.errors import SettingsError, suggestion
from settings.explain import explain
from settings.model import KeyPath, Settings, overlay
from settings.redis_section import ADDRESS_PARTS, with_absolute_files
from settings.sections import is_loopback
from settings.toml_file import leaves, read_toml


def load_settings(environ: Mapping[str, str] = os.environ, cwd: Path | None = None) -> Settings:
    """Read, check and freeze the settings.

    `cwd` is the folder where `callboard.toml` is looked for and where relative paths begin (default: the
    current one). Raises SettingsError, one sentence, when anything is unknown, wrong or unsafe.
    """
    cwd = Path.cwd() if cwd is None else cwd
    file, label = read_toml(environ.get(CONFIG) or None, cwd)
    below = overlay(_own_tables(), file)
    above, variables = read_environment(environ, below)
    file = _without_the_lower_address(file, above)
    tree = _from_here(overlay(file, above), cwd)
    sources: dict[KeyPath, str] = dict.fromkeys(leaves(file), label)
    sources |= {path: f"environment {name}" for path, name in variables.items()}
    try:
        settings = Settings(**tree)
    except ValidationError as error:
        problem = explain(error, sources)
    else:
        _refuse_open_redis(settings, sources)
        settings._sources = MappingProxyType(_with_inherited(settings, sources))
        return settings
    # Raised out here so that pydantic's error, which holds the values, is not chained to it.
    raise problem


def check_queues(settings: Settings, declared: Iterable[str]) -> None:
    """Refuse a policy or shard for a queue that neither the catalogue nor any actor has: it is misspelt.

    Raises SettingsError with the nearest queue.
    """
    right = catalogue.QUEUES | set(declared)
    for queue in settings.queues:
        if queue not in right:
            near = suggestion(queue, right)
            raise SettingsError(f"queues.{queue} is a policy for a queue that no actor has: {near}")
    for shard, queues in settings.redis.shards.items():
        for queue in queues:
            if queue not in right:
                near = suggestion(queue, right)
                raise SettingsError(f"redis.shards.{shard} names {queue}, a queue that no actor has: {near}")


def _own_tables() -> dict[str, Any]:
    return {
        "queues": catalogue.queue_rows(),
        "schedules": catalogue.schedule_rows(),
        "aliases": dict(aliases.TABLE),
    }


def _without_the_lower_address(file: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the file's Redis address when the environment names a server, so that they never mix.

    A mixture would send the password of one server to the other.
    """
    given, redis = above.get("redis", {}), file.get("redis")
    if not isinstance(redis, dict) or not isinstance(given, dict):
        return file
    dropped = ("url", *ADDRESS_PARTS) if "url" in given else ("url",) if "host" in given else ()
    return {**file, "redis": {key: value for key, value in redis.items() if key not in dropped}}


def _from_here(tree: dict[str, Any], cwd: Path) -> dict[str, Any]:
    """Make relative folders and files absolute from `cwd`."""
    if isinstance(tree.get("home"), str):
        tree["home"] = str(cwd / Path(tree["home"]).expanduser())
    reports = tree.get("reports")
    if isinstance(reports, dict) and isinstance(reports.get("folder"), str) and reports["folder"]:
        tree["reports"] = {**reports, "folder": str(cwd / Path(reports["folder"]).expanduser())}
    if isinstance(tree.get("redis"), dict):
        tree["redis"] = with_absolute_files(tree["redis"], cwd)
    return tree


def _refuse_open_redis(settings: Settings, sources: Mapping[KeyPath, str]) -> None:
    """In production Redis needs a password and TLS, unless it is this machine or the user allows it."""
    url = settings.redis.effective_url()
    hosts = [host for host in settings.redis.hosts() if not is_loopback(host)]
    if settings.env != "production" or url is None or settings.redis.allow_insecure or not hosts:
        return
    parts = urlsplit(url)
    tls = parts.scheme.startswith("rediss")
    unverified = "ssl_cert_reqs=none" in parts.query
    needs = (
        ("a password", parts.password),
        ("TLS", tls),
        ("verified certificates (no ssl_cert_reqs=none)", not (tls and unverified)),
    )
    lacks = [word for word, there in needs if not there]
    if not lacks:
        return
    source = sources.get(("redis", "url")) or sources.get(("redis", "host"))
    scheme = f"rediss{parts.scheme.removeprefix('rediss' if tls else 'redis')}"
    host = ",".join(hosts)
    raise SettingsError(
        f"Redis at {host} ({source}) needs {' and '.join(lacks)} in production: use "
        f"{scheme}://user:password@{host} or set redis.allow_insecure = true."
    )


def _with_inherited(settings: Settings, sources: dict[KeyPath, str]) -> dict[KeyPath, str]:
    """Add the source of what queues take over from `queue_defaults`."""
    own = catalogue.queue_rows()
    defaults = {path[1:]: source for path, source in sources.items() if path[0] == "queue_defaults"}
    result = dict(sources)
    for queue in settings.queues:
        for path, source in defaults.items():
            if not _holds(own.get(queue, {}), path):
                result.setdefault(("queues", queue, *path), source)
    return result


def _holds(row: Mapping[str, Any], path: KeyPath) -> bool:
    value: Any = row
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True
