"""The Redis service, started for real with its own entrypoint, keeps what it is given."""

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from broker.redis.embedded import find_binary
from tests.compose.reading import FILLED_IN, filled_in, services
from tests.waiting import eventually

PASSWORD = FILLED_IN["REDIS_PASSWORD"]


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """The entrypoint in a folder that stands for the container's, with a socket in place of the port."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shell, options, script = services()["redis"]["entrypoint"]
        for place in ("/run/valkey", "/data"):
            (folder / place.strip("/")).mkdir(parents=True)
            script = script.replace(place, f"{folder}{place}")
        server = folder / "valkey-server"
        command = f'exec {find_binary().path} "$@" --port 0 --unixsocket {folder}/socket'
        server.write_text(f"#!/bin/sh\n{command}\n")
        server.chmod(0o700)
        variables = {key: filled_in(value) for key, value in services()["redis"]["environment"].items()}
        variables["PATH"] = f"{folder}:{os.environ['PATH']}"
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [shell, options, filled_in(script)], env=variables, stdout=log, stderr=log
            )
        try:
            eventually(lambda: answers(folder / "socket"))
            yield folder, process
        finally:
            process.terminate()
            process.wait(30)


def answers(path: Path) -> bool:
    """Whether somebody listens there."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


@pytest.fixture
def client(service) -> Iterator[redis.Redis]:
    with redis.Redis(unix_socket_path=f"{service[0]}/socket", password=PASSWORD) as client:
        yield client


def test_it_stores_every_job_before_it_answers_and_throws_none_away(client) -> None:
    assert client.config_get("append*")["appendonly"] == "yes"
    assert client.config_get("appendfsync") == {"appendfsync": "always"}
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert int(client.config_get("maxmemory")["maxmemory"]) > 0


def test_its_data_is_in_the_volume(client, service) -> None:
    client.set("a", "b")

    assert services()["redis"]["volumes"] == ["redis:/data"]
    assert [path.name for path in (service[0] / "data").iterdir()] == ["appendonlydir"]


def test_it_answers_nobody_without_the_password(service) -> None:
    with (
        redis.Redis(unix_socket_path=f"{service[0]}/socket", retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_its_password_is_in_no_argument_and_in_no_readable_file(service) -> None:
    folder, process = service
    (file,) = (folder / "run/valkey").iterdir()

    assert PASSWORD not in " ".join(psutil.Process(process.pid).cmdline())
    assert PASSWORD in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_the_server_itself_gets_the_signal_to_stop(service) -> None:
    # Process 1 is the one that Docker signals: the shell must have made room for the server.
    assert "valkey-server" in psutil.Process(service[1].pid).cmdline()[0]
