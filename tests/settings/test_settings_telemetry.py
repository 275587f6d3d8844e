"""What can be said of metrics, traces and logs."""

import pytest

from settings import Settings, SettingsError, TelemetrySettings


def test_everything_is_off_until_it_is_asked_for() -> None:
    its = Settings().telemetry
    assert (its.counts, its.otlp_endpoint, its.tenant_label, its.opencell) == (False, None, False, False)
    assert its.metrics_host == "127.0.0.1"


def test_port_0_is_off_too() -> None:
    assert not TelemetrySettings(metrics_port=0).counts


def test_the_headers_of_an_export_are_read_as_opentelemetry_writes_them(load) -> None:  # type: ignore[no-untyped-def]
    settings = load("", OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20k,x-team = a=b ,")
    assert settings.telemetry.headers() == {"authorization": "Bearer k", "x-team": "a=b"}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "must be a URL like http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:pw@collector:4318", "credentials go into otlp_headers"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret", "must be name=value"),
        ("CALLBOARD_TELEMETRY__TRACE_SHARE", "2", "telemetry.trace_share"),
        ("CALLBOARD_TELEMETRY__METRICS_PORT", "70000", "telemetry.metrics_port"),
    ],
)
def test_what_makes_no_sense_is_refused(load, name: str, value: str, reason: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingsError, match=reason) as refused:
        load("", **{name: value})
    assert "pw" not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_slash_at_the_end_of_the_endpoint_is_no_matter(load) -> None:  # type: ignore[no-untyped-def]
    settings = load("", OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318/")
    assert settings.telemetry.otlp_endpoint == "http://collector:4318"
