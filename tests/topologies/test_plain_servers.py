"""One server: by a Unix socket, by TLS, and as a user who may do no more than is needed."""

import re
from pathlib import Path

import pytest
import redis

from broker.redis.facts import read_facts
from broker.redis.topology import Topology, stray_jobs
from jobs.errors import StoreUnavailable
from jobs.states import JobState
from tests.topologies.flow import LOGIN, basic_flow, job, store_at, topology
from tests.topologies.servers import CERTIFICATE, Server, tls_front

ROOT = Path(__file__).parent.parent.parent


def test_a_unix_socket(server: Server, home: Path, namespace: str) -> None:
    with store_at(f"unix://{LOGIN}{home}/redis.sock?db=1", namespace) as store:
        basic_flow(store, ["q"])
        store.enqueue([job("one")])
    with redis.Redis(port=server.port, password=server.password, db=1) as client:
        assert client.keys(f"{namespace}*")


def refused(url: str) -> str:
    with store_at(url, "none") as store, pytest.raises(StoreUnavailable) as caught:
        store.ping()
    return str(caught.value)


class TestTls:
    def test_a_server_whose_certificate_is_signed_by_the_named_authority(
        self, server: Server, namespace: str
    ) -> None:
        with tls_front(server.port) as port:
            url = f"rediss://{LOGIN}localhost:{port}?ssl_ca_certs={CERTIFICATE}"
            with store_at(url, namespace) as store:
                basic_flow(store, ["q"])
            assert read_facts(topology(url, namespace).find()).role == "master"

    def test_an_unknown_authority_is_refused(self, server: Server) -> None:
        with tls_front(server.port) as port:
            text = refused(f"rediss://{LOGIN}localhost:{port}")
        assert f"The certificate that Redis at localhost:{port} shows is not trusted" in text
        assert "redis.tls_ca_file" in text

    def test_a_certificate_for_another_name_is_refused(self, server: Server) -> None:
        with tls_front(server.port) as port:
            text = refused(f"rediss://{LOGIN}127.0.0.1:{port}?ssl_ca_certs={CERTIFICATE}")
            assert "not trusted" in text
            assert "127.0.0.1" in text
            lenient = f"rediss://{LOGIN}127.0.0.1:{port}?ssl_ca_certs={CERTIFICATE}&ssl_check_hostname=false"
            with store_at(lenient, "none") as store:
                store.ping()

    def test_verification_is_left_out_only_when_the_url_says_so(self, server: Server) -> None:
        with (
            tls_front(server.port) as port,
            store_at(f"rediss://{LOGIN}127.0.0.1:{port}?ssl_cert_reqs=none", "none") as store,
        ):
            store.ping()

    def test_a_server_that_wants_our_certificate(self, server: Server) -> None:
        with tls_front(server.port, wants_certificate=True) as port:
            url = f"rediss://{LOGIN}localhost:{port}?ssl_ca_certs={CERTIFICATE}"
            assert "cannot be reached" in refused(url)
            with store_at(f"{url}&ssl_certfile={CERTIFICATE}", "none") as store:
                store.ping()

    def test_a_file_that_is_not_there_is_named(self, server: Server) -> None:
        with tls_front(server.port) as port:
            assert "a certificate file cannot be used (/no/such.pem" in refused(
                f"rediss://{LOGIN}localhost:{port}?ssl_ca_certs=/no/such.pem"
            )

    def test_a_server_without_tls_is_not_talked_to_in_plain(self, server: Server) -> None:
        assert "cannot be reached" in refused(f"rediss://{LOGIN}localhost:{server.port}")


def documented_rule() -> list[str]:
    """The rule of docs/topologies.md, as the words of ACL SETUSER."""
    text = (ROOT / "docs" / "topologies.md").read_text()
    block = re.search(r"```\nACL SETUSER (.*?)```", text, flags=re.DOTALL)
    assert block
    return block[1].replace("\\\n", " ").split()


class TestLeastRights:
    @pytest.fixture
    def limited(self, server: Server, namespace: str) -> str:
        """The URL of the user that the documentation describes, for this test's namespace."""
        rule = [word.replace("callboard:", f"{namespace}:") for word in documented_rule()]
        assert rule[0] == "callboard"
        rule = [">pw" if word.startswith(">") else word for word in rule[1:]]
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "limited", "reset", *rule)
        return f"redis://limited:pw@127.0.0.1:{server.port}"

    def test_the_documented_rule_suffices(self, limited: str, namespace: str) -> None:
        with store_at(limited, namespace, other=["r"]) as store:
            basic_flow(store, ["q", "r"])
            store.enqueue([job("one")])
            assert store.shards["main"].wait_for_work(["q"], 1_000) == "q"
            heard: list[str] = []
            store.shards["main"].listen(heard.append, lambda: heard.append("joined"), 4_000)
            assert heard == ["joined"]
            assert store.clean("q", JobState.WAITING) == 1
            store.keep_readers(["audit"])
        limited_topology = topology(limited, namespace, other=["r"])
        assert read_facts(limited_topology.find()).maxmemory == 0
        assert stray_jobs(limited_topology, ["q"]) == []

    def test_it_covers_every_command_of_every_script(self) -> None:
        scripts = "\n".join(path.read_text() for path in (ROOT / "broker" / "redis" / "lua").rglob("*.lua"))
        used = {name.lower() for name in re.findall(r"redis\.p?call\('([A-Za-z]+)'", scripts)}
        allowed = {word[1:].partition("|")[0] for word in documented_rule() if word.startswith("+")}
        assert used - allowed == set()

    def test_it_gives_nothing_beyond_its_keys(self, limited: str, namespace: str) -> None:
        with redis.Redis.from_url(limited, protocol=2) as client:
            for command in (("GET", "other"), ("FLUSHALL",), ("CONFIG", "GET", "*"), ("KEYS", "*")):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.execute_command(*command)
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.publish("other:channel", "x")

    def test_a_user_with_too_few_rights_is_told_where_to_look(self, server: Server) -> None:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "few", "reset", "on", ">pw", "~*", "+ping", "+info")
        with store_at(f"redis://few:pw@127.0.0.1:{server.port}", "none") as store:
            store.ping()
            with pytest.raises(StoreUnavailable, match=r"docs/topologies\.md"):
                store.enqueue([job("one")])


def test_the_description_makes_the_same_store_elsewhere(server: Server, namespace: str) -> None:
    url = f"redis://{LOGIN}127.0.0.1:{server.port}"
    here = topology(url, namespace, other=["r"])
    there = Topology.from_description(here.describe() | {"owner": "of the helper"}).store()
    with store_at(url, namespace, other=["r"]) as store:
        store.enqueue([job("one", "r"), job("two", "q")])
    assert there.shards["other"].get("one") is not None
    assert there.shards["main"].get("one") is None
    assert there.shards["main"].get("two") is not None
    there.close()
