"""Typed, frozen configuration: defaults in code, then a TOML file, then the environment."""

from settings.errors import SettingsError, UnknownName
from settings.load import check_queues, load_settings
from settings.model import Settings
from settings.names import actor_of, queues_behind, resolve_name
from settings.policy import Backoff, BackoffType, QueuePolicy, Retention
from settings.redis_section import RedisSettings
from settings.sections import (
    ApiSettings,
    AuditSettings,
    DatabaseSettings,
    Mailbox,
    MiddlewareSettings,
    PayloadSettings,
    ReportSettings,
    Schedule,
    SentrySettings,
    SmtpSettings,
    TenantPolicy,
    WebhookEndpoint,
    WorkerSettings,
    is_loopback,
    key_list,
)
from settings.show import ConfigLine, describe, mask_url
from settings.telemetry_section import TelemetrySettings
from settings.units import Rate, parse_ms, parse_rate, parse_seconds

__all__ = [
    "ApiSettings",
    "AuditSettings",
    "Backoff",
    "BackoffType",
    "ConfigLine",
    "DatabaseSettings",
    "Mailbox",
    "MiddlewareSettings",
    "PayloadSettings",
    "QueuePolicy",
    "Rate",
    "RedisSettings",
    "ReportSettings",
    "Retention",
    "Schedule",
    "SentrySettings",
    "Settings",
    "SettingsError",
    "SmtpSettings",
    "TelemetrySettings",
    "TenantPolicy",
    "UnknownName",
    "WebhookEndpoint",
    "WorkerSettings",
    "actor_of",
    "check_queues",
    "describe",
    "is_loopback",
    "key_list",
    "load_settings",
    "mask_url",
    "parse_ms",
    "parse_rate",
    "parse_seconds",
    "queues_behind",
    "resolve_name",
]
