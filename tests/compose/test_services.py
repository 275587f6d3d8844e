"""compose.yaml: valid, complete, and with no more rights than it needs."""

import re
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from settings import Settings, load_settings, parse_seconds
from settings.catalogue import QUEUES
from tests.compose.reading import (
    COMPOSE,
    FILLED_IN,
    compose_file,
    environment,
    ours,
    services,
    variables,
    workers,
)

SECRET = re.compile(r"PASS|SECRET|TOKEN|KEY|AUTH|DSN|_URL$")
every_service = pytest.mark.parametrize("name", services())
every_service_of_ours = pytest.mark.parametrize("name", ours())


def settings_of(service: dict[str, Any], folder: Path) -> Settings:
    return load_settings(environment(service), folder)


def is_one_shot(service: dict[str, Any]) -> bool:
    return service["restart"] == "no"


def test_it_fits_the_schema_of_compose_files() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    schema = ["--builtin-schema", "vendor.compose-spec"]  # comes with the tool: no network

    answer = subprocess.run([checker, *schema, COMPOSE / "compose.yaml"], capture_output=True, text=True)

    assert answer.returncode == 0, answer.stdout + answer.stderr


@every_service_of_ours
def test_the_settings_accept_the_environment_of_every_container(name: str, tmp_path: Path) -> None:
    settings = settings_of(ours()[name], tmp_path)

    assert settings.env == "production"
    assert settings.redis.effective_url() == "redis://:ab12@redis:6379/0"
    assert settings.database_url == "postgresql+psycopg://callboard:cd34@postgres:5432/callboard"
    assert {"redis", "postgres"} <= set(services())


def test_every_queue_is_served_by_exactly_one_kind_of_worker(tmp_path: Path) -> None:
    served = [
        queue
        for service in workers().values()
        for queue in settings_of(service, tmp_path).selected_queues(QUEUES) or QUEUES
    ]

    assert sorted(served) == sorted(QUEUES)


def test_each_worker_service_is_called_after_its_group(tmp_path: Path) -> None:
    types = {name: settings_of(service, tmp_path).workers.type for name, service in workers().items()}

    assert types == {name: name.removeprefix("worker-") for name in types}
    assert set(types.values()) == {policy.group for policy in Settings().queues.values()}


@every_service
def test_images_are_of_a_chosen_version_or_built_here(name: str) -> None:
    image, _, tag = services()[name]["image"].rpartition(":")

    assert image
    assert tag == "local" if name in ours() else re.match(r"\d", tag)


@every_service
def test_no_secret_is_written_in_the_file(name: str) -> None:
    for variable, value in services()[name].get("environment", {}).items():
        if SECRET.search(variable):
            assert re.search(r"\$\{\w+:\?", value), variable
        assert not re.search(r"://[^/]*:\w+@", value), variable


def test_the_example_environment_names_every_variable_and_holds_no_secret() -> None:
    example = (COMPOSE / ".env.example").read_text(encoding="utf-8")
    values = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", example, re.MULTILINE))

    assert set(values) == variables((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))
    assert {name for name, value in values.items() if not value} == set(FILLED_IN)


@every_service
def test_no_container_has_rights_it_does_not_need(name: str) -> None:
    service = services()[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & set(service)
    if name not in ours():  # the user of our own image is in the Dockerfile
        assert int(service["user"].partition(":")[0]) > 0


def test_only_the_api_has_a_port_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}

    assert list(published) == ["api"]
    (port,) = published["api"]
    assert ip_address(port.partition(":")[0]).is_loopback
    assert port.rpartition(":")[2] == str(Settings().api.port)


def test_the_stores_are_on_a_network_without_a_way_out() -> None:
    inside = {name for name, network in compose_file()["networks"].items() if (network or {}).get("internal")}

    for name in ("redis", "postgres", "migrate"):
        assert set(services()[name]["networks"]) <= inside
    assert all(set(service["networks"]) & inside for service in ours().values())


@every_service
def test_every_container_has_a_health_check_or_ends_by_itself(name: str) -> None:
    service = services()[name]

    assert is_one_shot(service) or service["healthcheck"]["test"]


@every_service
def test_every_container_has_a_minute_to_stop(name: str, tmp_path: Path) -> None:
    service = services()[name]

    if not is_one_shot(service):
        grace = parse_seconds(service["stop_grace_period"])
        assert grace >= 60
        assert name not in workers() or grace > settings_of(service, tmp_path).workers.stop_seconds


@every_service_of_ours
def test_nothing_starts_before_what_it_needs(name: str) -> None:
    needs = {other: how["condition"] for other, how in ours()[name]["depends_on"].items()}

    migrated = {} if name == "migrate" else {"migrate": "service_completed_successfully"}
    ready = {"postgres"} if name == "migrate" else {"postgres", "redis"}
    assert needs == migrated | dict.fromkeys(ready, "service_healthy")
