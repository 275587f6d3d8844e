"""Where Redis is, how it is reached, and which queues are in which part of it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from settings.policy import Section
from settings.units import FrozenMap, Whole, Words, empty_map

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
MAIN_SHARD = "main"
#: The file's own are dropped when the environment names another server.
ADDRESS_PARTS = (
    "host",
    "port",
    "username",
    "password",
    "tls",
    "db",
    "sentinel_username",
    "sentinel_password",
)
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s:\[\]/@?#,]+)(?::[0-9]{1,5})?")
_TLS_FILES = {"tls_ca_file": "ssl_ca_certs", "tls_cert_file": "ssl_certfile", "tls_key_file": "ssl_keyfile"}


def _checked_host(host: str) -> str:
    if not re.fullmatch(r"[^\s/@?#\[\]]{1,253}", host):
        raise ValueError("must be a host name or an IP address alone")
    return host


Port = Annotated[Whole, Field(ge=1, le=65_535)]
Text = Annotated[str, Field(min_length=1)]
Host = Annotated[str, AfterValidator(_checked_host)]


class RedisSettings(Section):
    """Where Redis is: a URL, or host, port and the rest. Nothing set means the server of `callboard up`.

    - A URL is redis://, rediss:// (TLS), unix:///path, redis+sentinel://host,host/NAME-OF-THE-MASTER or
      redis+cluster://host,host; the last two with rediss for TLS. docs/topologies.md has examples.
    - `db` is the database number and goes with `host`.
    - `tls_ca_file` is the authority that signed the server's certificate (default: the system's);
      `tls_cert_file` and `tls_key_file` are ours, for a server that wants one. All are PEM files.
    - `shards` puts queues together in parts that can be on different nodes: `{urgent = ["email-send"]}`.
      All other queues are in `main`.
    - `allow_insecure` lifts the rule that Redis needs a password and TLS in production.
    """

    url: SecretStr | None = None
    host: Host | None = None
    port: Port = 6379
    username: Text | None = None
    password: SecretStr | None = None
    sentinel_username: Text | None = None
    sentinel_password: SecretStr | None = None
    tls: bool = False
    tls_ca_file: Text | None = None
    tls_cert_file: Text | None = None
    tls_key_file: Text | None = None
    db: Annotated[Whole, Field(ge=0)] = 0
    namespace: str = "callboard"
    shards: FrozenMap[Words] = Field(default_factory=empty_map)
    allow_insecure: bool = False

    @field_validator("url")
    @classmethod
    def _a_redis_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not _is_redis_url(url.get_secret_value()):
            raise ValueError(
                "must be a URL like redis://host:6379, rediss://user:password@host:6379, "
                "redis+sentinel://host:26379,host:26379/mymaster or redis+cluster://host:6379,host:6379"
            )
        return url

    @field_validator("namespace")
    @classmethod
    def _fits_into_keys(cls, name: str) -> str:
        # Braces would move the hash tag of every key.
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
            raise ValueError("must be 1 to 64 letters, digits, dots, hyphens and underscores")
        return name

    @field_validator("shards")
    @classmethod
    def _each_queue_once(cls, shards: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        seen: dict[str, str] = {}
        for shard, queues in shards.items():
            if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", shard):
                raise ValueError("must have names of 1 to 64 letters, digits, dots, hyphens and underscores")
            for queue in queues:
                if seen.setdefault(queue, shard) != shard:
                    raise ValueError(f"must name {queue} once, not in {seen[queue]} and in {shard}")
        return shards

    @model_validator(mode="after")
    def _an_address(self) -> "RedisSettings":
        loose = self.model_fields_set & set(ADDRESS_PARTS) - {"host"}
        if loose and self.url is None and self.host is None:
            raise ValueError(f"must name the server when {min(loose)} is set: add url or host")
        scheme = "" if self.url is None else urlsplit(self.url.get_secret_value()).scheme
        if loose & {"sentinel_username", "sentinel_password"} and not scheme.endswith("sentinel"):
            raise ValueError("must have a redis+sentinel:// url when the login of the sentinels is set")
        if self.tls and scheme == "unix":
            raise ValueError("must not have tls with a unix:// url")
        return self

    def effective_url(self) -> str | None:
        """The URL to connect to, password and all; None when no server is configured."""
        if self.url is not None:
            parts = urlsplit(self.url.get_secret_value())
            scheme = self._scheme(parts.scheme)
            user, password = parts.username, parts.password
            host = parts.netloc.rpartition("@")[2]
            netloc = parts.netloc if password is not None else self._userinfo(user) + host
            query = self._query(scheme, parts.query)
            return urlunsplit(parts._replace(scheme=scheme, netloc=netloc, query=query))
        if self.host is None:
            return None
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = self._scheme("redis")
        query = self._query(scheme, "")
        url = f"{scheme}://{self._userinfo(None)}{host}:{self.port}/{self.db}"
        return f"{url}?{query}" if query else url

    def hosts(self) -> tuple[str, ...]:
        """The hosts that the URL names: of the server, the sentinels, or the cluster; a socket has none."""
        url = self.effective_url()
        netloc = urlsplit(url).netloc.rpartition("@")[2] if url else ""
        named = (urlsplit(f"//{one.strip()}").hostname for one in netloc.split(",") if one.strip())
        return tuple(host for host in named if host)

    def _scheme(self, scheme: str) -> str:
        return re.sub(r"^redis(?=$|\+)", "rediss", scheme) if self.tls else scheme

    def _userinfo(self, quoted_user: str | None) -> str:
        user = quoted_user if quoted_user is not None else quote(self.username or "", safe="")
        password = quote(self.password.get_secret_value(), safe="") if self.password else ""
        return f"{user}{':' + password if password else ''}@" if user or password else ""

    def _query(self, scheme: str, query: str) -> str:
        """The URL's own options, and after them what is set beside it."""
        own = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
        more: dict[str, str] = {}
        if scheme.startswith("rediss"):
            more = {word: value for key, word in _TLS_FILES.items() if (value := getattr(self, key))}
        if self.sentinel_username:
            more["sentinel_username"] = self.sentinel_username
        if self.sentinel_password:
            more["sentinel_password"] = self.sentinel_password.get_secret_value()
        added = urlencode({word: value for word, value in more.items() if word not in own})
        return "&".join(filter(None, (query, added)))


def with_absolute_files(redis: Mapping[str, object], cwd: Path) -> dict[str, object]:
    """The section with the paths of its certificate files made absolute."""
    files = {key: redis[key] for key in _TLS_FILES if redis.get(key)}
    absolute = {
        key: str(cwd / Path(file).expanduser()) for key, file in files.items() if isinstance(file, str)
    }
    return {**redis, **absolute}


def _is_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        parts.query.encode("ascii")
    except ValueError:
        return False
    hosts = parts.netloc.rpartition("@")[2]
    if parts.scheme not in SCHEMES:
        return False
    if parts.scheme == "unix":
        return not hosts and parts.path.startswith("/")
    listed = [one.strip() for one in hosts.split(",")]
    several = "+" in parts.scheme
    if not all(_HOST.fullmatch(one) and _port(one) for one in listed) or (len(listed) > 1 and not several):
        return False
    return not parts.scheme.endswith("sentinel") or len(parts.path.strip("/").split("/")[0]) > 0


def _port(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").port != 0
    except ValueError:
        return False
