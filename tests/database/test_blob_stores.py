"""The three places for large arguments keep the same promises."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from database.blobs import CHUNK_BYTES, DatabaseBlobs
from database.engine import make_engine
from database.migrations import migrate
from integrations.blob_bucket import Bucket, BucketBlobs
from integrations.blob_folder import FolderBlobs
from integrations.errors import PermanentFailure, TransientFailure
from jobs.blobs import SWEEP_CHUNK, BlobStore, Swept, sweep
from tests.s3_server import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, S3Server, s3_server

LATER = 10**15


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


def bucket(server: S3Server, secret: str = SECRET_KEY) -> BucketBlobs:
    return BucketBlobs(Bucket(BUCKET, "jobs/large", server.url, REGION, ACCESS_KEY, secret))


@pytest.fixture(params=["database", "folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlobStore]:
    if request.param == "folder":
        yield FolderBlobs(tmp_path / "blobs")
        return
    if request.param == "s3":
        yield bucket(request.getfixturevalue("s3"))
        return
    engine: Engine = make_engine(f"sqlite:///{tmp_path / 'blobs.db'}")
    migrate(engine)
    yield DatabaseBlobs(lambda: engine)
    engine.dispose()


def key(number: int) -> str:
    return f"{number:032x}"


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES * 2 + 5])
def test_what_is_put_is_found_byte_for_byte(blobs: BlobStore, size: int) -> None:
    data = os.urandom(size)
    blobs.put(key(1), "job-1", data)
    blobs.put(key(1), "job-1", data)  # the answer was lost
    assert blobs.get(key(1)) == data
    assert blobs.get(key(2)) is None


def test_they_are_listed_by_key_with_their_jobs(blobs: BlobStore) -> None:
    for number in (3, 1, 2):
        blobs.put(key(number), f"acme\x1fjob {number}\n", b"x" * number)
    first = blobs.page("", LATER, 2)
    assert [(row[0], row[1], row[2]) for row in first] == [
        (key(1), "acme\x1fjob 1\n", 1),
        (key(2), "acme\x1fjob 2\n", 2),
    ]
    assert [row[0] for row in blobs.page(key(2), LATER, 2)] == [key(3)]
    assert list(blobs.page("", first[0][3] - 60_000, 2)) == []


def test_a_sweep_removes_what_has_no_job_in_chunks(blobs: BlobStore) -> None:
    for number in range(SWEEP_CHUNK + 10):
        blobs.put(key(number), f"job-{number}", b"xyz")
    there = {"job-7", "job-205"}
    *_, last = sweep(blobs, lambda job_id: job_id in there, LATER, young_ms=0)
    assert last == Swept(SWEEP_CHUNK + 10, SWEEP_CHUNK + 8, 3 * (SWEEP_CHUNK + 8))
    assert [row[1] for row in blobs.page("", LATER, 10)] == ["job-7", "job-205"]


def test_a_young_blob_waits_for_its_job(blobs: BlobStore) -> None:
    blobs.put(key(1), "on-its-way", b"x")
    now = blobs.page("", LATER, 1)[0][3]
    assert list(sweep(blobs, lambda job_id: False, now + 1_000, young_ms=60_000)) == []
    assert blobs.get(key(1)) == b"x"


def test_a_file_of_arguments_is_for_its_owner_alone_and_a_key_is_no_path(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    blobs.put(key(1), "job-1", b"x")
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ValueError, match="32 hexadecimal digits"):
        blobs.get("../../etc/passwd")


def test_objects_of_others_in_the_bucket_are_left_alone(s3: S3Server) -> None:
    blobs = bucket(s3)
    blobs.put(key(1), "job-1", b"x")
    at = s3.objects[f"jobs/large/{key(1)}"][1]
    s3.objects["elsewhere/file"] = s3.objects["jobs/large/README"] = (b"not ours", at)
    s3.objects[f"jobs/large/{key(2)}"] = (b"not ours either", at)
    assert [row[0] for row in blobs.page("", LATER, 10)] == [key(1)]
    assert blobs.remove([key(1), key(3)]) == 2
    assert sorted(s3.objects) == ["elsewhere/file", f"jobs/large/{key(2)}", "jobs/large/README"]


def test_a_store_that_refuses_the_key_says_what_to_check_and_no_secret(s3: S3Server) -> None:
    with pytest.raises(PermanentFailure, match="refuses access to the bucket 'blobs'") as refusal:
        bucket(s3, "another secret").put(key(1), "job-1", b"x")
    assert "another secret" not in str(refusal.value)
    assert "another secret" not in repr(Bucket("b", secret_key="another secret"))


def test_a_store_that_is_away_may_be_tried_again(s3: S3Server) -> None:
    s3.broken = True
    with pytest.raises(TransientFailure, match="cannot be used now"):
        bucket(s3).get(key(1))
    s3.broken = False
    assert bucket(s3).get(key(1)) is None
