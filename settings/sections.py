"""The sections of the settings that describe one outside thing or one process each."""

import re
from datetime import datetime
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from settings.limits_section import TenantLimit
from settings.policy import Section
from settings.redis_section import Host, Port, Text
from settings.units import FrozenMap, Milliseconds, Seconds, Whole, Words, empty_map

TlsMode = Literal["tls", "starttls", "none"]


class DatabaseSettings(Section):
    """SQLite or PostgreSQL; None means `callboard.db` under the home folder."""

    url: SecretStr | None = None

    @field_validator("url")
    @classmethod
    def _a_database_url(cls, url: SecretStr | None) -> SecretStr | None:
        schemes = ("sqlite://", "postgres://", "postgresql://", "postgresql+psycopg://")
        if url is not None and not url.get_secret_value().startswith(schemes):
            raise ValueError(
                "must be a URL like sqlite:////folder/file.db or postgresql://user:password@host/name"
            )
        return url


class ApiSettings(Section):
    """Where the HTTP API listens, and whether it serves its documentation pages."""

    host: Host = "127.0.0.1"
    port: Port = 8642
    docs: bool = True


class WorkerSettings(Section):
    """One worker process.

    `type` names the queue groups it serves (`all`, or groups separated by commas); `threads` None leaves
    Dramatiq's `-t`; running jobs may finish until `stop_seconds` after SIGTERM; a job is dead-lettered after
    `max_lost_leases` of its workers died. A job that cannot be ended `stuck_seconds` after its time limit
    ends its process.
    """

    type: Text = "all"
    id: Text | None = None
    threads: Annotated[Whole, Field(ge=1)] | None = None
    start: bool = True
    lease_seconds: Annotated[Seconds, Field(ge=1)] = 15.0
    stop_seconds: Annotated[Seconds, Field(le=55)] = 50.0
    max_lost_leases: Annotated[Whole, Field(ge=1)] = 3
    stuck_seconds: Annotated[Seconds, Field(ge=1)] = 60.0
    browser_sessions: Annotated[Whole, Field(ge=1)] = 3

    @property
    def effective_id(self) -> str:
        """The name in the registry: `id`, or host:pid of the process that asks."""
        if self.id is not None:
            return self.id
        import os
        import socket

        return f"{socket.gethostname()}:{os.getpid()}"


class PayloadSettings(Section):
    """The largest payload that is put into Redis, in bytes (CATALOGUE section 1: 100 KB)."""

    max_bytes: Annotated[Whole, Field(ge=1)] = 102_400


class MiddlewareSettings(Section):
    """The stack: places left out and replaced by name, and classes added at its end by dotted path."""

    without: Words = ()
    extra: Words = ()
    replace: FrozenMap[Text] = Field(default_factory=empty_map)


class AuditSettings(Section):
    """How long audit rows are kept (CATALOGUE section 1: SQL 90 days), and the key of their chain of hashes.

    Without a `key` the chain shows accidents, not a person who can write to the database. `old_keys` made
    links that are still there, separated by commas. From `keyed_since` on (ISO 8601, UTC) every link must
    have a key; older ones may have been made before there was one.
    """

    retention: Annotated[Milliseconds, Field(ge=1)] = 90 * 86_400_000
    operators_retention: Annotated[Milliseconds, Field(ge=1)] = 365 * 86_400_000
    key: SecretStr | None = None
    old_keys: SecretStr | None = None
    keyed_since: datetime | None = None

    @field_validator("key", "old_keys")
    @classmethod
    def _long_enough(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None and any(len(key) < SHORTEST_KEY for key in key_list(keys)):
            raise ValueError(f"must be random text of at least {SHORTEST_KEY} characters")
        return keys


SHORTEST_KEY = 32


def key_list(keys: SecretStr | None) -> list[str]:
    """Several keys in one value, separated by commas."""
    return [key.strip() for key in keys.get_secret_value().split(",")] if keys else []


class SmtpSettings(Section):
    """The server that sends mail; None host means that nothing can be sent."""

    host: Host | None = None
    port: Port = 587
    username: Text | None = None
    password: SecretStr | None = None
    tls: TlsMode = "starttls"
    sender: Text | None = None


class SentrySettings(Section):
    """Where errors are reported; None dsn means nowhere."""

    dsn: SecretStr | None = None
    environment: Text | None = None
    release: Text | None = None

    @field_validator("dsn")
    @classmethod
    def _a_dsn(cls, dsn: SecretStr | None) -> SecretStr | None:
        if dsn is not None and not _is_dsn(dsn.get_secret_value()):
            raise ValueError("must be a DSN as Sentry shows it: https://KEY@HOST/NUMBER")
        return dsn


class ReportSettings(Section):
    """Where rendered reports go; None means `reports` under the home folder."""

    folder: Text | None = None


class Mailbox(Section):
    """The IMAP account behind one account id. `port` follows `tls`: 993 for tls, else 143."""

    host: Host
    port: Port = 993
    username: Text
    password: SecretStr
    tls: TlsMode = "tls"
    folder: Text = "INBOX"
    timeout_ms: Annotated[Milliseconds, Field(ge=1)] = 30_000

    @model_validator(mode="before")
    @classmethod
    def _usual_port(cls, data: object) -> object:
        if isinstance(data, dict) and "port" not in data and data.get("tls", "tls") != "tls":
            return {**data, "port": 143}
        return data


class WebhookEndpoint(Section):
    """One receiver of webhooks: its URL and its Standard Webhooks secret (`whsec_` and base64)."""

    url: str
    secret: SecretStr
    allow_private: bool = False

    @field_validator("url")
    @classmethod
    def _a_web_url(cls, url: str) -> str:
        if not _is_url(url, {"http", "https"}):
            raise ValueError("must be a URL like https://example.com/hook")
        return url

    @field_validator("secret")
    @classmethod
    def _a_signing_secret(cls, secret: SecretStr) -> SecretStr:
        if not re.fullmatch(r"whsec_[A-Za-z0-9+/]{16,}={0,2}", secret.get_secret_value()):
            raise ValueError("must be whsec_ followed by a base64 key of at least 12 bytes")
        return secret


class TenantPolicy(Section):
    """What one tenant gets; `weight` is its share against the others: 2 gets two jobs where 1 gets one.
    `limits` are its own numbers of limits that count by tenant, user or resource."""

    weight: Annotated[float, Field(ge=0.001, le=1_000)] = 1.0
    limits: FrozenMap[TenantLimit] = Field(default_factory=empty_map)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself: localhost, 127.0.0.0/8 or ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_dsn(text: str) -> bool:
    """As Sentry's own library takes it."""
    if not _is_url(text, {"http", "https"}):
        return False
    parts = urlsplit(text)
    return bool(parts.username) and parts.path.rpartition("/")[2].isdecimal()


def _is_url(text: str, schemes: set[str]) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
