"""An effect asks whether it has happened before it acts again."""

import pytest

from actors.declare import actor
from broker.testing import FakeJobs
from jobs.states import JobState
from middleware.steps import effect, step
from tests.middleware.deeds import AT_ONCE
from tests.middleware.steps import error_of, job_of


class Provider:
    """A payment provider: it books under a key, and can be asked. `breaks` decides when the caller fails."""

    def __init__(self, breaks: str = "") -> None:
        self.booked: dict[str, str] = {}
        self.calls: list[str] = []
        self._breaks = breaks

    def do(self, intent: dict[str, str]) -> str:
        self.calls.append("do")
        if self._breaks == "before":
            self._breaks = ""
            raise ConnectionError
        self.booked[intent["key"]] = f"receipt {len(self.booked) + 1}"
        if self._breaks == "after":
            self._breaks = ""
            raise ConnectionError
        return self.booked[intent["key"]]

    def probe(self, intent: dict[str, str]) -> str | None:
        self.calls.append("probe")
        return self.booked.get(intent["key"])


@pytest.mark.parametrize(
    ("breaks", "calls"),
    [("", ["do"]), ("before", ["do", "probe", "do"]), ("after", ["do", "probe"])],
)
def test_an_effect_asks_before_it_acts_again(jobs: FakeJobs, breaks: str, calls: list[str]) -> None:
    provider, keys, seen = Provider(breaks), iter("abc"), list[str]()

    @actor(backoff=AT_ONCE)
    def charge() -> None:
        seen.append(effect("charge", {"key": next(keys)}, provider.do, provider.probe))

    charge.send()
    jobs.run_all()
    assert provider.calls == calls
    assert provider.booked == {"a": "receipt 1"}, "every run has the intent of the first"
    assert seen == ["receipt 1"]


def test_an_effect_is_not_asked_again_once_its_outcome_is_known(jobs: FakeJobs) -> None:
    provider, fails = Provider(), [ConnectionError(), ConnectionError()]

    @actor(backoff=AT_ONCE, attempts=2)
    def charge() -> None:
        assert effect("charge", {"key": "k"}, provider.do, provider.probe) == "receipt 1"
        if fails:
            raise fails.pop()

    message = charge.send()
    jobs.run_all()
    jobs.store.retry_dead([message.message_id], from_start=True)
    jobs.run_all()
    assert job_of(jobs, message).state is JobState.COMPLETED
    assert provider.calls == ["do"], "not in a replay from the start either"


def test_a_coroutine_has_effects_that_are_awaited(jobs: FakeJobs) -> None:
    provider = Provider("after")

    async def do(intent: dict[str, str]) -> str:
        return provider.do(intent)

    async def probe(intent: dict[str, str]) -> str | None:
        return provider.probe(intent)

    @actor(backoff=AT_ONCE)
    async def charge() -> str:
        return await effect("charge", {"key": "k"}, do, probe)

    message = charge.send()
    jobs.run_all()
    assert job_of(jobs, message).record == b'{"result":"receipt 1"}'
    assert provider.calls == ["do", "probe"]


def test_do_and_probe_are_of_one_kind(jobs: FakeJobs) -> None:
    async def do(intent: object) -> str:
        return ""

    @actor
    async def charge() -> None:
        await effect("charge", None, do, lambda intent: None)  # type: ignore[arg-type,return-value]

    message = charge.send()
    jobs.run_all()
    assert "both be `async def`" in error_of(jobs, message)["message"]


def test_a_step_does_not_become_an_effect_in_a_later_release(jobs: FakeJobs) -> None:
    runs = [0]

    @actor(backoff=AT_ONCE)
    def changing() -> None:
        runs[0] += 1
        if runs[0] == 1:
            step("mail", lambda: 1)
            raise ConnectionError
        effect("mail", None, lambda intent: 1, lambda intent: None)

    message = changing.send()
    jobs.run_all()
    assert "was stored as a step and is used as a effect now" in error_of(jobs, message)["message"]
