"""Every form of REDIS_URL, and what is said of one that is none."""

import pytest

from broker.redis.connection import RedisAddress
from broker.redis.places import Login, Tls, read_places, url_of
from jobs.errors import StoreUnavailable


def test_one_server() -> None:
    places = read_places("redis://ann:p%40ss@[::1]:7000/3")
    (node,) = places.nodes
    assert (node.host, node.port, node.db, node.login) == ("::1", 7000, 3, Login("ann", "p@ss"))
    assert node.tls is None
    assert read_places("redis://cache").nodes[0].place == "cache:6379"
    assert read_places("redis://cache?db=2").nodes[0].db == 2


def test_tls_verifies_unless_told_otherwise() -> None:
    assert read_places("rediss://cache").nodes[0].tls == Tls(verify=True, check_host=True)
    told = (
        "rediss://cache?ssl_ca_certs=/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem&ssl_check_hostname=false"
    )
    assert read_places(told).nodes[0].tls == Tls("/ca.pem", "/c.pem", "/k.pem", check_host=False)
    assert read_places("rediss://cache?ssl_cert_reqs=none").nodes[0].tls == Tls(
        verify=False, check_host=False
    )


def test_sentinels() -> None:
    places = read_places("rediss+sentinel://u:p@one,two:5/jobs?db=1&sentinel_password=s%26")
    assert (places.kind, places.master, places.db, places.login) == ("sentinel", "jobs", 1, Login("u", "p"))
    assert [node.place for node in places.nodes] == ["one:26379", "two:5"]
    assert all(node.login == Login("", "s&") and node.tls for node in places.nodes)


def test_a_cluster() -> None:
    places = read_places("redis+cluster://:p,w@one:1,two")
    assert places.kind == "cluster"
    assert [(node.place, node.login.password) for node in places.nodes] == [
        ("one:1", "p,w"),
        ("two:6379", "p,w"),
    ]


@pytest.mark.parametrize(
    "url",
    [
        "redis://:p%40@cache:6379/1",
        "rediss://u:p@cache:6379/0?ssl_ca_certs=%2Fca.pem&ssl_check_hostname=false",
        "unix:///run/redis.sock?db=2",
    ],
)
def test_a_node_can_be_written_as_a_url_again(url: str) -> None:
    assert url_of(read_places(url).nodes[0]) == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://h", "it must begin with one of redis://"),
        ("redis://h?timeout=5", "timeout is no option of redis"),
        ("redis://h?ssl_ca_certs=x", "ssl_ca_certs is no option of redis"),
        ("redis://one,two", "names one server"),
        ("redis://h:x", "hosts must be written host:port"),
        ("redis://h:0", "hosts must be written host:port"),
        ("redis://h/x", "the database must be a number"),
        ("redis://[::1", "it is not a URL"),
        ("rediss://h?ssl_cert_reqs=maybe", "ssl_cert_reqs must be required or none"),
        ("redis+sentinel://h", "name of the master"),
        ("redis+cluster://h/1", "only the database 0"),
        ("unix://host/path", "absolute path"),
    ],
)
def test_a_url_that_is_none_is_explained_without_its_password(url: str, problem: str) -> None:
    url = url.replace("://", "://u:geheim@", 1) if "[" not in url else url
    with pytest.raises(StoreUnavailable) as caught:
        read_places(url)
    assert problem in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert "geheim" not in str(caught.value)


def test_an_address_shows_its_place_and_never_its_password() -> None:
    assert RedisAddress("redis://u:geheim@h/1").place == "h:6379"
    assert RedisAddress("redis+sentinel://u:geheim@a,b/jobs").place == "jobs (sentinels a:26379, b:26379)"
    assert RedisAddress("redis+cluster://u:geheim@a").of_shard("fast").place == "shard fast (cluster a:6379)"
    for shown in (RedisAddress("redis://u:geheim@h"), read_places("redis+sentinel://u:geheim@a/jobs")):
        assert "geheim" not in repr(shown)
