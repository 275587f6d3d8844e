"""Large arguments of jobs as files in a folder that all machines share."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from integrations.storage import write_atomically

_KEY = re.compile(r"[0-9a-f]{32}")
#: The first line of a file: whose it is.
_LONGEST_HEAD = 4_096


class FolderBlobs:
    """`jobs.blobs.BlobStore` in files of 0600. Raises PermanentFailure and TransientFailure when the folder
    cannot be written, OSError when it cannot be read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, job_id: str, data: bytes) -> None:
        head = json.dumps({"job": job_id, "at": time.time_ns() // 1_000_000})
        write_atomically(self._path(key), head.encode() + b"\n" + data)

    def get(self, key: str) -> bytes | None:
        try:
            return self._path(key).read_bytes().partition(b"\n")[2]
        except FileNotFoundError:
            return None

    def page(self, after: str, before_ms: int, limit: int) -> Sequence[tuple[str, str, int, int]]:
        found = list[tuple[str, str, int, int]]()
        for path in self._files(after):
            if len(found) == limit:
                break
            try:
                with path.open("rb") as file:
                    line = file.readline(_LONGEST_HEAD)
                    size = path.stat().st_size - len(line)
                head = json.loads(line)
            except (FileNotFoundError, ValueError):
                continue  # it was removed just now, or is no file of ours
            if head["at"] < before_ms:
                found.append((path.name, head["job"], size, head["at"]))
        return found

    def remove(self, keys: Sequence[str]) -> int:
        removed = 0
        for key in keys:
            try:
                self._path(key).unlink()
                removed += 1
            except FileNotFoundError:
                continue
        return removed

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError("the key of a blob is 32 hexadecimal digits")
        return self._folder / key[:2] / key

    def _files(self, after: str) -> Iterator[Path]:
        if not self._folder.is_dir():
            return
        for part in sorted(self._folder.iterdir()):
            if part.is_dir() and part.name >= after[:2]:
                yield from sorted(p for p in part.iterdir() if _KEY.fullmatch(p.name) and p.name > after)
