"""A file is there in whole, or not at all."""

import stat
from pathlib import Path

import pytest

from integrations.errors import PermanentFailure, TransientFailure
from integrations.storage import write_atomically


def test_a_file_is_written_in_whole_with_its_folders_for_its_owner_only(tmp_path: Path) -> None:
    path = write_atomically(tmp_path / "a" / "b" / "report.pdf", b"%PDF")

    assert path.read_bytes() == b"%PDF"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path], "no temporary file is left"


def test_an_existing_file_is_replaced_under_its_readers(tmp_path: Path) -> None:
    path = write_atomically(tmp_path / "report.pdf", b"old")
    with path.open("rb") as reader:
        write_atomically(path, b"new")
        assert reader.read() == b"old", "who had it open still reads the old one in whole"
    assert path.read_bytes() == b"new"


def test_a_folder_that_is_a_file_is_a_clear_permanent_failure(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(
        PermanentFailure, match=r"Cannot write .*taken/report\.pdf: .*; make the folder writable"
    ):
        write_atomically(tmp_path / "taken" / "report.pdf", b"x")


def test_a_folder_that_nobody_may_write_is_a_clear_permanent_failure() -> None:
    # /proc takes no files, not even from root.
    with pytest.raises(PermanentFailure, match="make the folder writable for the user that runs the worker"):
        write_atomically("/proc/report.pdf", b"x")


def test_a_failed_write_leaves_neither_the_new_file_nor_a_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "report.pdf").mkdir()  # cannot be replaced by a file
    with pytest.raises(PermanentFailure):
        write_atomically(tmp_path / "report.pdf", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["report.pdf"]


def test_a_full_disk_is_transient() -> None:
    from integrations import storage

    failure = storage._explained(OSError(28, "No space left on device"), Path("/data/report.pdf"))
    assert isinstance(failure, TransientFailure)
    assert "free space" in str(failure)
