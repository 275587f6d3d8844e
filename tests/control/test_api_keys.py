"""The bearer key: made once, kept as a digest, never readable by others."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from control.api.keys import KeyFile, KeyFileError


def test_the_first_start_makes_a_key_and_tells_it_once(tmp_path):
    keys = KeyFile(tmp_path)

    key = keys.ensure()

    assert key is not None
    assert keys.ensure() is None
    assert keys.matches(key)
    assert not keys.matches(key + "x")
    assert not keys.matches("")


def test_only_a_digest_is_kept_and_only_its_owner_may_read_it(tmp_path):
    keys = KeyFile(tmp_path / "home")
    key = keys.ensure()

    assert key not in keys.path.read_text()
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert list(keys.path.parent.iterdir()) == [keys.path]


def test_a_rotation_makes_the_old_key_worthless(tmp_path):
    keys = KeyFile(tmp_path)
    old = keys.ensure()

    new = keys.rotate()

    assert keys.matches(new)
    assert not keys.matches(old)


def test_of_many_first_starts_at_once_one_makes_the_key(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = [key for key in pool.map(lambda _: KeyFile(tmp_path).ensure(), range(8)) if key]

    assert len(made) == 1
    assert KeyFile(tmp_path).matches(made[0])


def test_a_key_file_that_others_may_read_is_refused(tmp_path):
    keys = KeyFile(tmp_path)
    key = keys.ensure()
    keys.path.chmod(0o644)

    with pytest.raises(KeyFileError, match="chmod 600"):
        keys.matches(key)


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"sha256": 5}), json.dumps({"sha256": "ab"})])
def test_a_damaged_key_file_is_refused(tmp_path, content):
    keys = KeyFile(tmp_path)
    keys.ensure()
    keys.path.write_text(content)

    with pytest.raises(KeyFileError, match="is damaged"):
        keys.matches("")


def test_without_a_key_file_nobody_gets_in(tmp_path):
    with pytest.raises(KeyFileError, match="callboard api-key rotate"):
        KeyFile(tmp_path).matches("")
