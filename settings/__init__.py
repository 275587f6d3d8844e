"""Typed, frozen configuration: defaults in code, then a TOML file, then the environment."""

from settings.errors import SettingsError, UnknownName
from settings.failures_section import DeadLetterRule, DeadLetterSettings, RetrySettings
from settings.keys_section import KeySettings, key_bytes, key_text
from settings.limits_section import LimitSettings, ProviderSettings, TenantLimit
from settings.load import check_queues, load_settings
from settings.model import Settings
from settings.names import actor_of, queues_behind, resolve_name
from settings.policy import Backoff, BackoffType, QueuePolicy, Retention
from settings.redis_section import RedisSettings
from settings.schedules_section import ScheduleSettings
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
    "DeadLetterRule",
    "DeadLetterSettings",
    "KeySettings",
    "LimitSettings",
    "Mailbox",
    "MiddlewareSettings",
    "PayloadSettings",
    "ProviderSettings",
    "QueuePolicy",
    "Rate",
    "RedisSettings",
    "ReportSettings",
    "Retention",
    "RetrySettings",
    "ScheduleSettings",
    "SentrySettings",
    "Settings",
    "SettingsError",
    "SmtpSettings",
    "TelemetrySettings",
    "TenantLimit",
    "TenantPolicy",
    "UnknownName",
    "WebhookEndpoint",
    "WorkerSettings",
    "actor_of",
    "check_queues",
    "describe",
    "is_loopback",
    "key_bytes",
    "key_list",
    "key_text",
    "load_settings",
    "mask_url",
    "parse_ms",
    "parse_rate",
    "parse_seconds",
    "queues_behind",
    "resolve_name",
]
