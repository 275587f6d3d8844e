"""The whole configuration as one frozen object."""

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from ipaddress import ip_address, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PrivateAttr, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from settings import aliases as aliases_table
from settings import catalogue
from settings.blobs_section import BlobSettings
from settings.errors import suggestion
from settings.failures_section import DeadLetterSettings, RetrySettings
from settings.keys_section import KeySettings
from settings.limits_section import LimitSettings, ProviderSettings, disagreements
from settings.policy import QueuePolicy
from settings.redis_section import MAIN_SHARD, RedisSettings
from settings.schedules_section import NAME, NAME_RULE, ScheduleSettings, over_schedules
from settings.sections import (
    ApiSettings,
    AuditSettings,
    DatabaseSettings,
    Mailbox,
    MiddlewareSettings,
    PayloadSettings,
    ReportSettings,
    SentrySettings,
    SmtpSettings,
    TenantPolicy,
    WebhookEndpoint,
    WorkerSettings,
)
from settings.telemetry_section import TelemetrySettings
from settings.units import FrozenMap, Whole, Words, empty_map

CHECKOUT = Path(__file__).resolve().parent.parent

_QUEUE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*")  # what Dramatiq accepts

KeyPath: TypeAlias = tuple[str, ...]


def _of_the_version() -> int:
    """The release's number unless one is set: 0.1.0 is 100, 2.13.4 is 21304."""
    numbers = [int(part) for part in re.findall(r"[0-9]+", version("callboard"))[:3]]
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major * 10_000 + minor * 100 + patch


def _networks(value: object) -> object:
    if isinstance(value, bool) or (isinstance(value, str) and value.lower() in {"true", "false"}):
        return ("0.0.0.0/0", "::/0") if str(value).lower() == "true" else ()
    return value


def _one_actor(value: object) -> object:
    return {aliases_table.ANY: value} if isinstance(value, str) else value


AliasJobs = Annotated[FrozenMap[str], BeforeValidator(_one_actor)]


class Settings(BaseSettings):
    """Everything that can be set, with its defaults; made by `load_settings`, or in code by keyword.

    What is given lies over the tables of the catalogue key by key, and a queue's missing values follow
    `queue_defaults`. It never looks at the process environment by itself.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    env: Literal["development", "production"] = "development"
    home: Path = CHECKOUT / ".callboard"
    release: Annotated[Whole, Field(ge=0)] = Field(default_factory=_of_the_version)
    redis: RedisSettings = Field(default_factory=RedisSettings)
    database: DatabaseSettings = DatabaseSettings()
    api: ApiSettings = ApiSettings()
    workers: WorkerSettings = WorkerSettings()
    payload: PayloadSettings = PayloadSettings()
    blobs: BlobSettings = BlobSettings()
    keys: KeySettings = Field(default_factory=KeySettings)
    middleware: MiddlewareSettings = Field(default_factory=MiddlewareSettings)
    retries: RetrySettings = RetrySettings()
    dead_letters: DeadLetterSettings = DeadLetterSettings()
    audit: AuditSettings = AuditSettings()
    smtp: SmtpSettings = SmtpSettings()
    sentry: SentrySettings = SentrySettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    reports: ReportSettings = ReportSettings()
    queue_defaults: QueuePolicy = QueuePolicy()
    queues: FrozenMap[QueuePolicy] = Field(default_factory=empty_map)
    groups: FrozenMap[Words] = Field(default_factory=empty_map)
    aliases: FrozenMap[AliasJobs] = Field(default_factory=empty_map)
    schedules: FrozenMap[ScheduleSettings] = Field(default_factory=empty_map)
    limits: FrozenMap[LimitSettings] = Field(default_factory=empty_map)
    providers: FrozenMap[ProviderSettings] = Field(default_factory=empty_map)
    tenants: FrozenMap[TenantPolicy] = Field(default_factory=empty_map)
    mailboxes: FrozenMap[Mailbox] = Field(default_factory=empty_map)
    webhooks: FrozenMap[WebhookEndpoint] = Field(default_factory=empty_map)
    allow_private_addresses: Annotated[Words, BeforeValidator(_networks)] = ()

    _sources: Mapping[KeyPath, str] = PrivateAttr(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # load_settings reads the file and the environment itself, to know which value came from where.
        return (init_settings,)

    @model_validator(mode="before")
    @classmethod
    def _over_the_catalogue(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        defaults = data.get("queue_defaults", {})
        if isinstance(defaults, QueuePolicy):
            defaults = defaults.model_dump(exclude_unset=True)
        given = data.get("queues", {})
        layered = dict(data)
        if isinstance(given, Mapping) and isinstance(defaults, dict):
            rows = overlay(catalogue.queue_rows(), given)
            layered["queues"] = {
                name: overlay(defaults, row) if isinstance(row, Mapping) else row
                for name, row in rows.items()
            }
        schedules = data.get("schedules", {})
        if isinstance(schedules, Mapping):
            rows = over_schedules(catalogue.schedule_rows(), schedules)
            layered["schedules"] = overlay(rows, schedules)
        aliases = data.get("aliases", {})
        if isinstance(aliases, Mapping):
            layered["aliases"] = overlay(aliases_table.TABLE, aliases)
        return layered

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("allow_private_addresses")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            try:
                ip_network(network, strict=False)
            except ValueError:
                raise ValueError('must be true, false or networks such as ["127.0.0.0/8", "::1"]') from None
        return networks

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "Settings":
        known = self.worker_groups()
        for word in _split(self.workers.type) or [""]:
            if word not in known:
                raise _disagreement(
                    ("workers", "type"), f"names no worker group {word!r}; {suggestion(word, known)}"
                )
        for key, problem in disagreements(self.limits, self.providers, self.tenants):
            raise _disagreement(key, problem)
        for name in self.schedules:
            if not NAME.fullmatch(name):
                raise _disagreement(("schedules", name), NAME_RULE)
        shares: dict[str, str] = {}
        shards = {queue: shard for shard, queues in self.redis.shards.items() for queue in queues}
        for name, policy in self.queues.items():
            if not _QUEUE_NAME.fullmatch(name):
                raise _disagreement(
                    ("queues", name), "must begin with a letter and hold only letters, digits, . _ -"
                )
            if policy.share is None:
                continue
            first = shares.setdefault(policy.share, name)
            for field in ("concurrency", "global_concurrency", "rate"):
                if getattr(self.queues[first], field) != getattr(policy, field):
                    raise _disagreement(
                        ("queues", name, field),
                        f"must equal that of {first}, because both share it as {policy.share!r}; "
                        f'set it for all queues of the share, or share = "none" for one of them',
                        other=("queues", first, field),
                    )
            if shards.get(first, MAIN_SHARD) != shards.get(name, MAIN_SHARD):
                raise _disagreement(
                    ("redis", "shards"),
                    f"must have {first} and {name} together, because both share their limits as "
                    f'{policy.share!r}; or set share = "none" for one of them',
                )
        return self

    @property
    def sources(self) -> Mapping[KeyPath, str]:
        """Where each value that is not a default came from, by its path of keys."""
        return self._sources

    @property
    def logs_as_json(self) -> bool:
        """Whether each log line is a JSON object: as the settings say, else in production."""
        chosen = self.telemetry.json_logs
        return self.env == "production" if chosen is None else chosen

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL, password and all; PostgreSQL always by psycopg."""
        if self.database.url is None:
            return f"sqlite:///{self.home / 'callboard.db'}"
        scheme, _, rest = self.database.url.get_secret_value().partition("://")
        return f"{'postgresql+psycopg' if scheme.startswith('postgres') else scheme}://{rest}"

    @property
    def keys_file(self) -> Path:
        """Where the fleet's keys are when the settings hold none."""
        return (
            self.home / "keys.json"
            if self.keys.file is None
            else Path(self.keys.file).expanduser().absolute()
        )

    @property
    def reports_folder(self) -> Path:
        """Where rendered reports go."""
        folder = self.reports.folder
        return self.home / "reports" if folder is None else Path(folder).expanduser().absolute()

    def policy(self, queue: str) -> QueuePolicy:
        """The policy of a queue; one that nobody described has `queue_defaults`."""
        return self.queues.get(queue, self.queue_defaults)

    def worker_groups(self) -> frozenset[str]:
        """The names that WORKER_TYPE may give."""
        return frozenset({"all", "primary", *self.groups, *(policy.group for policy in self.queues.values())})

    def selected_queues(self, all_declared: Iterable[str]) -> set[str] | None:
        """Which of the declared queues this worker serves by its type; None means all of them."""
        types = _split(self.workers.type)
        if "all" in types:
            return None
        named = {queue for group in types for queue in self.groups.get(group, ())}
        return {queue for queue in all_declared if queue in named or self.policy(queue).group in types}

    def allows_private(self, address: str) -> bool:
        """Whether outgoing calls may go to this address although it is private or loopback."""
        ip = ip_address(address)
        return any(ip in ip_network(network, strict=False) for network in self.allow_private_addresses)


def overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base` key by key, tables within tables too; neither is changed."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        result[key] = overlay(below, value) if both else value  # type: ignore[arg-type]
    return result


def _split(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _disagreement(key: KeyPath, problem: str, other: KeyPath = ()) -> PydanticCustomError:
    """A problem between keys; `other` is the second of them."""
    return PydanticCustomError("callboard", "{problem}", {"key": key, "problem": problem, "other": other})
