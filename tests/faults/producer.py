"""`python -m tests.faults.producer`: sends work of several tenants without a pause, through the whole stack.

It notes what it tries and what was accepted. What fails is sent again under its id until it is accepted, as
any careful producer would; that must never make two jobs. SIGTERM: finish that, and end.
"""

import random
import signal
import threading
import time
from types import FrameType
from typing import Any

from jobs.errors import CallboardError
from tests.faults.subjects import ledger, told, work

TENANTS = ("acme", "globex", "initech", "umbrella", None)

stopping = threading.Event()


class Producer:
    def __init__(self, name: str, seed: int) -> None:
        self._name = name
        self._dice = random.Random(seed)
        self._number = 0

    def run(self) -> None:
        while not stopping.is_set():
            burst = self._dice.choice([1, 1, 1, 2, 5, 5, 20, 150])
            messages = [self._message() for _ in range(burst)]
            ids = [message.message_id for message in messages]
            ledger.note("tried", *ids)
            self._send(messages)
            ledger.note("accepted", *ids)
            stopping.wait(self._dice.uniform(0.0, 2.0 / told["jobs_per_s"]) * burst)

    def _send(self, messages: list[Any]) -> None:
        pause = threading.Event()
        while True:
            try:
                work.broker.enqueue_many(messages)
            except CallboardError:
                pause.wait(0.2)
            else:
                return

    def _message(self) -> Any:
        self._number += 1
        dice, arguments = self._dice, {"n": self._number}
        if dice.random() < 0.6:
            arguments["ms"] = min(told["longest_ms"], dice.choice([1, 5, 20, 20, 100, 100, 400, 1_500]))
        if dice.random() < 0.1:
            arguments["fails"] = dice.randint(1, 2)
        if dice.random() < 0.05:
            arguments["holds"] = 1
        options: dict[str, Any] = {"job_id": f"{self._name}-{self._number}"}
        if tenant := dice.choice(TENANTS):
            options["tenant_id"] = tenant
            if dice.random() < 0.2:
                options["gate"] = dice.choice(["mailbox-1", "one:mailbox-2"])
        if dice.random() < 0.1:
            options["run_at"] = round(time.time() * 1000) + dice.randint(10, 3_000)
        if dice.random() < 0.2:
            options["priority"] = dice.randint(1, 10)
        return work.message_with_options(kwargs=arguments, **options)


def main() -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    Producer(told["name"], told["seed"]).run()


if __name__ == "__main__":
    main()
