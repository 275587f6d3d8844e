"""Where Redis is, read from a URL: one server, the master that sentinels know, or a cluster."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from jobs.errors import StoreUnavailable

DEFAULT_PORT, SENTINEL_PORT = 6379, 26379
MAIN_SHARD = "main"

Kind = Literal["server", "sentinel", "cluster"]
_KINDS: Mapping[str, tuple[Kind, bool]] = {
    "redis": ("server", False),
    "rediss": ("server", True),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
    "unix": ("server", False),
}
_TLS_OPTIONS = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"}
_OPTIONS: Mapping[Kind, set[str]] = {
    "server": {"db"},
    "sentinel": {"db", "sentinel_username", "sentinel_password"},
    "cluster": set(),
}
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:\[\]/@?#]+))(?::([0-9]{1,5}))?")


class Login(NamedTuple):
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Login({self.username!r}, …)"


class Tls(NamedTuple):
    """Certificates are verified, and the host's name against them, unless the URL says otherwise.
    Files are PEM; without `ca_file` the system's authorities count."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True
    check_host: bool = True


class Node(NamedTuple):
    """One server process, and how to be let in. `path` is a Unix socket, instead of host and port."""

    host: str
    port: int
    path: str = ""
    login: Login = Login()
    db: int = 0
    tls: Tls | None = None
    must_be_master: bool = False

    @property
    def place(self) -> str:
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Places:
    """A URL taken apart. `nodes` are the server, the sentinels, or some nodes of the cluster."""

    kind: Kind
    nodes: tuple[Node, ...]
    login: Login = field(repr=False)
    master: str = ""  # its name among the sentinels
    db: int = 0


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where the jobs of a shard are. The URL may hold a password: never log it, use `place`.

    redis://, rediss:// (TLS), unix://, redis+sentinel://…/NAME-OF-THE-MASTER, redis+cluster://, and the
    last two with rediss. The node itself is looked up whenever a connection is made.
    """

    url: str = field(repr=False)
    shard: str = MAIN_SHARD

    @property
    def place(self) -> str:
        """Where it is, for a person. Raises StoreUnavailable when the URL is none."""
        places = read_places(self.url)
        listed = ", ".join(node.place for node in places.nodes)
        if places.kind == "sentinel":
            return f"{places.master} (sentinels {listed})"
        return f"shard {self.shard} (cluster {listed})" if places.kind == "cluster" else listed

    def of_shard(self, shard: str) -> "RedisAddress":
        return replace(self, shard=shard)


def url_of(node: Node) -> str:
    """The URL of one server, password and all."""
    user, password = (quote(part, safe="") for part in node.login)
    login = f"{user}:{password}@" if user or password else ""
    if node.path:
        return f"unix://{login}{quote(node.path)}?db={node.db}"
    if node.tls is None:
        return f"redis://{login}{node.place}/{node.db}"
    options = {
        "ssl_ca_certs": node.tls.ca_file,
        "ssl_certfile": node.tls.cert_file,
        "ssl_keyfile": node.tls.key_file,
        "ssl_cert_reqs": None if node.tls.verify else "none",
        "ssl_check_hostname": None if node.tls.check_host else "false",
    }
    query = urlencode({name: value for name, value in options.items() if value})
    return f"rediss://{login}{node.place}/{node.db}{'?' + query if query else ''}"


@lru_cache(maxsize=64)
def read_places(url: str) -> Places:
    """Take a URL apart. Raises StoreUnavailable, without the URL in it, when it cannot be used."""
    try:
        return _read(url)
    except ValueError as error:
        # Not chained: some of these errors quote the URL, password and all.
        problem = str(error) if isinstance(error, _Unusable) else "it is not a URL"
    raise StoreUnavailable(f"REDIS_URL cannot be used: {problem}.")


class _Unusable(ValueError):
    pass


def _read(url: str) -> Places:
    parts = urlsplit(url)
    if parts.scheme not in _KINDS:
        raise _Unusable(f"it must begin with one of {', '.join(f'{scheme}://' for scheme in _KINDS)}")
    kind, encrypted = _KINDS[parts.scheme]
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    known = _OPTIONS[kind] | (_TLS_OPTIONS if encrypted else set())
    if unknown := sorted(set(options) - known):
        raise _Unusable(f"{unknown[0]} is no option of {parts.scheme}:// ({', '.join(sorted(known))})")
    userinfo, _, hosts = parts.netloc.rpartition("@")
    username, _, password = userinfo.partition(":")
    login = Login(unquote(username), unquote(password))
    path = unquote(parts.path)
    if parts.scheme == "unix":
        if hosts or not path.startswith("/"):
            raise _Unusable("unix:// needs the absolute path of the socket, as in unix:///run/redis.sock")
        db = _number(options.get("db", "0"))
        return Places(kind, (Node("", 0, path, login, db),), login, db=db)
    tls = _tls(options) if encrypted else None
    inside = path.strip("/")
    if kind == "server":
        db = _number(options.get("db") or inside or "0")
        nodes = tuple(Node(host, port, "", login, db, tls) for host, port in _hosts(hosts, DEFAULT_PORT))
        if len(nodes) != 1:
            raise _Unusable("redis:// names one server; for several use redis+sentinel or redis+cluster")
        return Places(kind, nodes, login, db=db)
    if kind == "sentinel":
        if not inside or "/" in inside:
            raise _Unusable("it must end with the name of the master: redis+sentinel://host:26379/mymaster")
        own = Login(options.get("sentinel_username", ""), options.get("sentinel_password", ""))
        sentinels = tuple(Node(host, port, "", own, 0, tls) for host, port in _hosts(hosts, SENTINEL_PORT))
        return Places(kind, sentinels, login, inside, _number(options.get("db", "0")))
    if inside not in ("", "0"):
        raise _Unusable("a cluster has only the database 0")
    return Places(
        kind, tuple(Node(host, port, "", login, 0, tls) for host, port in _hosts(hosts, DEFAULT_PORT)), login
    )


def _hosts(text: str, port: int) -> list[tuple[str, int]]:
    found = [_HOST.fullmatch(one.strip()) for one in (text or "localhost").split(",")]
    pairs = [(m[1] or m[2], int(m[3] or port)) for m in found if m]
    if len(pairs) != len(found) or not all(1 <= number <= 65_535 for _, number in pairs):
        raise _Unusable("hosts must be written host:port, several with commas between them")
    return pairs


def _tls(options: Mapping[str, str]) -> Tls:
    verify = options.get("ssl_cert_reqs", "required")
    check_host = options.get("ssl_check_hostname", "true").lower()
    if verify not in ("required", "none"):
        raise _Unusable("ssl_cert_reqs must be required or none")
    if check_host not in ("true", "false"):
        raise _Unusable("ssl_check_hostname must be true or false")
    return Tls(
        options.get("ssl_ca_certs") or None,
        options.get("ssl_certfile") or None,
        options.get("ssl_keyfile") or None,
        verify == "required",
        check_host == "true" and verify == "required",
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise _Unusable("the database must be a number")
    return int(text)
