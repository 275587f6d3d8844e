"""`callboard doctor` looks at the clock by which everything is timed."""

import json
import re
import time

import pytest

from broker.redis import facts
from broker.redis.connection import RedisAddress
from control.service.checks.servers import clock
from tests.control.running import callboard


@pytest.mark.parametrize(
    ("host_s", "status", "words"),
    [
        (0, "ok", "it agrees with this host's"),
        (3, "ok", "it agrees with this host's"),
        (-70, "problem", "that of here is N s before this host's; one of the two is wrong"),
        (3_600, "problem", "that of here is N s behind this host's; one of the two is wrong"),
    ],
)
def test_a_clock_that_is_off_is_a_problem(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, host_s: int, status: str, words: str
) -> None:
    class Host:
        @staticmethod
        def time() -> float:
            return time.time() + host_s

    monkeypatch.setattr(facts, "time", Host)
    found = clock(facts.read_facts(RedisAddress(redis_url)), "here")
    told = re.search(r"is ([\d,]+) s", found.text)
    apart = int(told[1].replace(",", "")) if told else 0
    assert (found.status, re.sub(r"is [\d,]+ s", "is N s", found.text)) == (status, words)
    assert apart == 0 if status == "ok" else abs(apart - abs(host_s)) <= 3  # asking takes its time, too
    assert ("never set a server's clock back" in (found.mend or "")) == (status == "problem")


def test_the_doctor_says_that_it_agrees(joined: dict[str, str]) -> None:
    found = {one["subject"]: one for one in json.loads(callboard(joined, "doctor", "--json").stdout)}
    assert found["redis clock"]["status"] == "ok"
