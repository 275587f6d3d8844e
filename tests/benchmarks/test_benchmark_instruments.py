"""What the rows measure with: process trees and the server's own account."""

import os
import subprocess
import sys

import redis

from benchmarks import server
from benchmarks.processes import cpu_s, end_all, family
from tests.waiting import eventually

#: A process with a child in a session of its own, as a worker has its lease helper.
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE,
                         start_new_session=True)
while sum(range(1000)) and child.poll() is None:
    pass
"""


def test_a_family_is_a_process_and_all_below_it_with_the_cpu_of_all() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT])
    try:
        assert parent.pid in {process.pid for process in family(os.getpid())}
        eventually(lambda: len(family(parent.pid)) == 2)
        first, second = family(parent.pid)
        assert (first.pid, second.parent) == (parent.pid, parent.pid)

        before = cpu_s(parent.pid)
        eventually(lambda: cpu_s(parent.pid) > before + 0.05)
    finally:
        everybody = family(parent.pid)
        parent.kill()
        parent.wait()

    assert end_all(everybody, timeout_s=30) == []  # the child saw its input end
    assert family(parent.pid) == []


def test_what_does_not_end_by_itself_is_killed_and_named() -> None:
    stubborn = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])

    assert end_all(family(stubborn.pid), timeout_s=0) == [stubborn.pid]
    stubborn.wait(30)


def test_commands_of_clients_are_counted_and_those_inside_of_scripts_are_not(redis_url: str) -> None:
    script = "for n = 1, 50 do redis.call('PING') end"
    with (
        redis.Redis.from_url(redis_url) as client,
        subprocess.Popen([sys.executable, "-c", _ASKING, redis_url, script], stdin=subprocess.PIPE) as other,
    ):
        eventually(lambda: "cmdstat_eval" in client.info("commandstats"))  # it has begun
        names = eventually(lambda: _with_evals(server.client_commands(client, 0.3)))
        other.communicate()

    assert names.count("PING") == 0
    assert names.count("EVAL") > 0
    assert "ECHO" not in names  # our own


def _with_evals(names: list[str]) -> list[str]:
    """The names, unless the other one did not come to ask while they were counted."""
    return names if "EVAL" in names else []


#: Asks twenty times a second until its input ends.
_ASKING = """
import redis, select, sys
client = redis.Redis.from_url(sys.argv[1])
while not select.select([sys.stdin], [], [], 0.05)[0]:
    client.eval(sys.argv[2], 0)
"""


def test_the_memory_of_the_server_is_read_after_removals_were_done(redis_url: str, namespace: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        before = server.used_memory(client)
        client.setrange(namespace, 10_000_000, b"x")  # that much is not in a buffer of the connection
        assert server.used_memory(client) - before >= 10_000_000
        client.unlink(namespace)
        assert server.used_memory(client) - before < 1_000_000
