"""What worker threads take their jobs from loses none, whoever puts it in and whenever the threads end."""

import contextlib
import threading
import time
from queue import Empty
from typing import cast

import pytest
from dramatiq.broker import MessageProxy
from dramatiq.common import iter_queue

from broker.worker.work_queue import Item, WorkQueue
from tests.waiting import eventually


def an_item() -> Item:
    return Item(cast(MessageProxy, object()))


def test_a_job_goes_to_whoever_asks_first() -> None:
    queue, first, second = WorkQueue(), an_item(), an_item()
    queue.put(first)
    queue.put(second)
    assert [queue.get(timeout=20), queue.get(timeout=20)] == [first, second]
    with pytest.raises(Empty):
        queue.get(timeout=0.01)


def test_a_worker_thread_takes_the_job_that_it_put_in_and_others_take_the_rest() -> None:
    queue, own, other = WorkQueue(), an_item(), an_item()
    with pytest.raises(Empty):
        queue.get(timeout=0)  # from now on this is a worker thread
    queue.put(own)
    queue.put(other)
    taken: list[Item] = []
    thread = threading.Thread(target=lambda: taken.append(queue.get(timeout=20)))
    thread.start()
    thread.join()
    assert taken == [other]
    assert queue.get(timeout=0) is own


def test_a_thread_that_ended_leaves_the_job_it_was_to_take_to_the_end_of_the_worker() -> None:
    """Otherwise it would count as running for ever, and a program's stop would never come to its end."""
    queue, left, waiting = WorkQueue(), an_item(), an_item()

    def work() -> None:
        with pytest.raises(Empty):
            queue.get(timeout=0)
        queue.put(left)  # and then it is told to stop

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    queue.put(waiting)
    assert list(iter_queue(queue)) == [left, waiting]


def test_whoever_waits_for_the_end_waits_for_every_job() -> None:
    queue = WorkQueue()
    queue.put(an_item())
    waiter = threading.Thread(target=queue.join)
    waiter.start()
    assert queue.unfinished_tasks == 1
    assert waiter.is_alive()
    queue.task_done()
    waiter.join(timeout=20)
    assert not waiter.is_alive()


def test_nobody_waits_past_its_time_out_while_others_take_what_comes() -> None:
    queue, over = WorkQueue(), threading.Event()
    taken: list[Item] = []
    longest = [0.0]

    def work() -> None:
        while not over.is_set():
            began = time.monotonic()
            with contextlib.suppress(Empty):
                taken.append(queue.get(timeout=0.001))
            longest.append(time.monotonic() - began)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(12)]
    for thread in threads:
        thread.start()
    given = [an_item() for _ in range(30_000)]
    for item in given:
        queue.put(item)
    eventually(lambda: len(taken) == len(given))
    over.set()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads), "one waits for ever"
    assert max(longest) < 15
    assert {id(item) for item in taken} == {id(item) for item in given}
