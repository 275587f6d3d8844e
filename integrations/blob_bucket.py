"""Large arguments of jobs in a bucket of an S3-compatible store."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from integrations.errors import MissingExtra, PermanentFailure, TransientFailure

if TYPE_CHECKING:
    from obstore.store import S3Store

_KEY = re.compile(r"[0-9a-f]{32}")
#: The first line of an object: whose it is.
_LONGEST_HEAD = 4_096
_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where it is. `endpoint` empty: Amazon's own for the `region`. Without `access_key` the environment is
    asked as Amazon's tools do (variables, the machine's role)."""

    name: str
    prefix: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = field(default="", repr=False)


class BucketBlobs:
    """`jobs.blobs.BlobStore` in a bucket, one object each.

    All verbs raise MissingExtra without the extra `s3`, PermanentFailure when the store refuses these
    credentials and TransientFailure when it is away. The store does not tell what was there to be removed:
    `remove` counts what it was given.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._opened: S3Store | None = None

    def put(self, key: str, job_id: str, data: bytes) -> None:
        head = json.dumps({"job": job_id, "at": time.time_ns() // 1_000_000}).encode()
        with self._understood():
            import obstore

            obstore.put(self._store(), _checked(key), head + b"\n" + data)

    def get(self, key: str) -> bytes | None:
        with self._understood():
            import obstore
            from obstore.exceptions import NotFoundError

            try:
                return bytes(obstore.get(self._store(), _checked(key)).bytes()).partition(b"\n")[2]
            except (NotFoundError, FileNotFoundError):
                return None

    def page(self, after: str, before_ms: int, limit: int) -> Sequence[tuple[str, str, int, int]]:
        found = list[tuple[str, str, int, int]]()
        for meta in self._objects(after):
            if len(found) == limit:
                break
            if meta["last_modified"].timestamp() * 1000 >= before_ms:
                continue
            line = self._head(meta["path"])
            if line is None:
                continue  # it was removed just now, or is no object of ours
            at = line["at"]
            if at < before_ms:
                found.append((meta["path"], line["job"], meta["size"] - line["length"], at))
        return found

    def remove(self, keys: Sequence[str]) -> int:
        with self._understood():
            import obstore

            obstore.delete(self._store(), [_checked(key) for key in keys])
        return len(keys)

    def _store(self) -> "S3Store":
        if self._opened is None:
            self._opened = _open(self._bucket)
        return self._opened

    def _objects(self, after: str) -> Iterator[Any]:
        with self._understood():
            import obstore

            for chunk in obstore.list(self._store(), offset=after or None, chunk_size=500):
                yield from (meta for meta in chunk if _KEY.fullmatch(meta["path"]))

    def _head(self, key: str) -> dict[str, Any] | None:
        with self._understood():
            import obstore
            from obstore.exceptions import NotFoundError

            try:
                start = bytes(obstore.get_range(self._store(), key, start=0, end=_LONGEST_HEAD))
                line = start.partition(b"\n")[0]
                head = json.loads(line)
            except (NotFoundError, FileNotFoundError, ValueError):
                return None
        return {"job": head["job"], "at": head["at"], "length": len(line) + 1}

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Errors of the library as ours; their own texts may quote addresses with signatures."""
        try:
            import obstore.exceptions as errors
        except ImportError as error:
            raise MissingExtra("s3", "obstore") from error
        where = f"the bucket {self._bucket.name!r}"
        try:
            yield
        except (errors.UnauthenticatedError, errors.PermissionDeniedError, PermissionError):
            raise PermanentFailure(
                f"The S3 store refuses access to {where}: check blobs.access_key, blobs.secret_key and the "
                "rights they have (get, put, delete, list)."
            ) from None
        except errors.BaseError as error:
            raise TransientFailure(
                f"The S3 store with {where} cannot be used now ({type(error).__name__}); check "
                "blobs.endpoint and that the bucket exists."
            ) from None


def _open(bucket: Bucket) -> "S3Store":
    from obstore.store import S3Store

    options: dict[str, Any] = {"region": bucket.region}
    if bucket.endpoint:
        options["endpoint"] = bucket.endpoint
    if bucket.access_key:
        options |= {"access_key_id": bucket.access_key, "secret_access_key": bucket.secret_key}
    plain = bucket.endpoint.startswith("http://")
    return S3Store(
        bucket.name,
        prefix=bucket.prefix or None,
        client_options={"timeout": timedelta(seconds=_TIMEOUT_S), "allow_http": plain},
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=_TIMEOUT_S)},
        **options,
    )


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError("the key of a blob is 32 hexadecimal digits")
    return key
