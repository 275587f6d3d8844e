"""Workers that are killed in the middle of a job: what was done stays done."""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from actors.composition import App
from control.service import JobService
from jobs.states import JobState
from tests.broker.workers import state_of
from tests.middleware.stepping import declare
from tests.middleware.workers import planted_worker


class Provider(ThreadingHTTPServer):
    """It reserves, charges and knows what it has charged. `kills` are the calls in which, once it has acted
    and before it answers, its caller is killed."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kills: list[str] = []
        self.calls: Counter[str] = Counter()
        self.charged: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def act(self, what: str, told: dict[str, Any]) -> Any:
        self.calls[what] += 1
        answer: Any = None
        if what == "reserve":
            answer = f"place {self.calls[what]}"
        elif what == "charge":
            answer = self.charged[told["key"]] = f"{told['amount']} paid"
        elif what == "charged":
            answer = self.charged.get(told["key"])
        if self.kills[:1] == [what]:
            self.kills.pop(0)
            os.kill(told["pid"], signal.SIGKILL)
        return answer


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps(self.server.act(self.path[1:], told)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # the caller was killed
            self.close_connection = True


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    thread = threading.Thread(target=provider.serve_forever, daemon=True)
    thread.start()
    yield provider
    provider.shutdown()
    provider.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("kills", "calls"),
    [
        (["charge"], {"reserve": 1, "charge": 1, "charged": 1}),
        (["charge", "charged"], {"reserve": 1, "charge": 1, "charged": 2}),
        (["reserve"], {"reserve": 2, "charge": 1}),
    ],
)
@pytest.mark.timeout(180)
def test_a_worker_that_is_killed_between_the_call_and_the_storing_charges_once(
    real_app: App,
    redis_url: str,
    namespace: str,
    home: Path,
    provider: Provider,
    kills: list[str],
    calls: dict[str, int],
) -> None:
    """`reserve` is a step: it runs again when its outcome was not stored. `charge` is an effect."""
    provider.kills, deaths = kills.copy(), len(kills)
    job_id = declare().send(40).message_id
    for n in range(deaths):
        with planted_worker(redis_url, namespace, home, actors="stepping", PROVIDER=provider.url) as worker:
            worker.until(lambda left=deaths - n - 1: len(provider.kills) == left)
            worker.ended()
    with planted_worker(redis_url, namespace, home, actors="stepping", PROVIDER=provider.url) as worker:
        worker.until(lambda: state_of(real_app.store, job_id) is JobState.COMPLETED)
        worker.send(signal.SIGTERM)
        worker.ended()
    assert provider.calls == calls
    job = real_app.store.get(job_id)
    assert job is not None
    assert job.lost_leases == deaths
    view = JobService(real_app).get(job_id)
    assert view.returnvalue == {"place": f"place {calls['reserve']}", "receipt": "40 paid"}
    assert real_app.store.logs(job_id)[-1].attempt == deaths + 1
