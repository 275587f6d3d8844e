"""Real servers on loopback: with replicas and sentinels, in a cluster, behind TLS."""

import asyncio
import contextlib
import signal
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import redis

from broker.redis.embedded import find_binary
from tests.ports import free_port
from tests.waiting import eventually

PASSWORD, SENTINEL_PASSWORD = "data, secret", "watch-secret"
CERTIFICATE = Path(__file__).parent.parent / "integrations" / "certificates" / "localhost.pem"


class Server:
    """One server process with a configuration file of its own, which it may rewrite."""

    def __init__(
        self,
        home: Path,
        *config: str,
        password: str = PASSWORD,
        port: int | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.port = port or free_port()
        self.password = password
        self._home = home / str(self.port)
        self._arguments = arguments
        self._home.mkdir()
        own = ["bind 127.0.0.1", f"port {self.port}", f"dir {self._home}", f'requirepass "{password}"']
        self._config = self._home / "server.conf"
        self._config.write_text("\n".join([*own, *config]) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with (self._home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [find_binary().path, self._config, *self._arguments], stdout=log, stderr=log, cwd=self._home
            )

        def answers() -> bool:
            with contextlib.suppress(redis.ConnectionError), self.client() as client:
                return bool(client.ping())
            return False

        eventually(answers)

    def client(self) -> "redis.Redis":
        return redis.Redis(port=self.port, password=self.password, protocol=2)

    def kill(self) -> None:
        """SIGKILL: connections are cut, nothing is said."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def ended(*servers: Server) -> Iterator[None]:
    """Kill the servers at the end."""
    try:
        yield
    finally:
        for server in servers:
            server.kill()


def replicated(home: Path, down_after_ms: int = 60_000) -> tuple[Server, Server, Server]:
    """A master, its replica in step, and a sentinel that watches them under the name `jobs`.

    A sentinel in a hurry takes a master for dead that has only to wait for its processor.
    """
    data = ('save ""', f'masterauth "{PASSWORD}"', "repl-diskless-sync yes", "repl-diskless-sync-delay 0")
    master = Server(home, *data)
    replica = Server(home, *data, f"replicaof 127.0.0.1 {master.port}")

    def in_step() -> bool:
        with replica.client() as client:
            return client.info("replication")["master_link_status"] == "up"

    eventually(in_step)
    return master, replica, watched(home, master.port, down_after_ms)


def watched(home: Path, port: int, down_after_ms: int) -> Server:
    """A sentinel for the master on this port."""
    return Server(
        home,
        f"sentinel monitor jobs 127.0.0.1 {port} 1",
        f'sentinel auth-pass jobs "{PASSWORD}"',
        f"sentinel down-after-milliseconds jobs {down_after_ms}",
        "sentinel failover-timeout jobs 3000",
        password=SENTINEL_PASSWORD,
        arguments=["--sentinel"],
    )


def cluster(home: Path, ports: Sequence[int] = (), announced: Sequence[int] = ()) -> list[Server]:
    """A cluster of masters, three by default, with as many slots each; clients are told `announced`."""
    ports = ports or [free_port() for _ in range(3)]
    nodes, servers = len(ports), []
    for number, port in enumerate(ports):
        config = ['save ""', "cluster-enabled yes", "cluster-node-timeout 5000"]
        config.append("cluster-require-full-coverage no")
        if announced:
            config += ["cluster-announce-ip 127.0.0.1", f"cluster-announce-port {announced[number]}"]
            config += [f"cluster-announce-bus-port {port + 10_000}"]
        servers.append(Server(home, *config, port=port))
    size = 16_384
    for number, server in enumerate(servers):
        with server.client() as client:
            slots = range(number * size // nodes, (number + 1) * size // nodes)
            client.execute_command("CLUSTER", "ADDSLOTS", *slots)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number:
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
    wait_for_cluster(servers)
    return servers


def wait_for_cluster(servers: Sequence[Server]) -> None:
    def settled(server: Server) -> bool:
        with server.client() as client:
            info = str(client.execute_command("CLUSTER", "INFO"))
            return "cluster_state:ok" in info and f"cluster_known_nodes:{len(servers)}" in info

    for server in servers:
        eventually(lambda server=server: settled(server))


@contextlib.contextmanager
def tls_front(target: int, *, wants_certificate: bool = False) -> Iterator[int]:
    """A TLS server that passes on to a port of this machine; its certificate is for `localhost` alone.

    The wheel's server knows no TLS, so this stands before it.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    if wants_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(CERTIFICATE)
    loop = asyncio.new_event_loop()
    started: list[asyncio.Server] = []
    ready = threading.Event()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while got := await reader.read(65_536):
                writer.write(got)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(copy(reader, back), copy(there, writer))

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        started.append(server)
        ready.set()
        with contextlib.suppress(asyncio.CancelledError):
            await server.serve_forever()

    def main() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(run())
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()

    thread = threading.Thread(target=main, name="tls-front")
    thread.start()
    assert ready.wait(20)
    try:
        yield int(started[0].sockets[0].getsockname()[1])
    finally:
        loop.call_soon_threadsafe(started[0].close)
        thread.join(20)
