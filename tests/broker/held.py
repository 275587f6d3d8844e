"""A process that holds jobs, built by hand: no server, no threads, times that the test gives."""

from broker.proxy import JobProxy
from broker.worker.holdings import Holdings
from jobs.model import Outcome, Verdict
from jobs.rules import QueueRules
from tests.broker.hands import a_proxy


def holdings(threads: int = 4, **rules: QueueRules) -> Holdings:
    held = Holdings(threads, lambda queue: rules.get(queue, QueueRules(concurrency=100)))
    for queue in rules or {"q": None}:
        held.serve(queue)
    return held


def proxies(*ids: str, queue: str = "q") -> list[JobProxy]:
    return [a_proxy(job_id, queue) for job_id in ids]


def done(proxy: JobProxy, outcome: Outcome = Outcome.COMPLETED) -> Verdict:
    return Verdict(proxy.job.id, proxy.job.token, outcome)


def run_many(held: Holdings, seconds: float, count: int = 100) -> None:
    """Let so many jobs run, one after the other, that each took `seconds`."""
    for number in range(count):
        (proxy,) = held.receive(proxies(f"past-{number}"), number * seconds)
        held.finish(proxy, done(proxy), (number + 1) * seconds)
    held.take_verdicts(count)
    held.sent()


def asked(held: Holdings) -> tuple[int, dict[str, int]] | None:
    """Jobs in all, and of each queue."""
    request = held.request("w", "token", 1_000)
    return request and (request.credits + request.ahead, dict(request.queues))
