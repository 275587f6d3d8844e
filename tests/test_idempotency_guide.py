"""The examples of docs/idempotency.md run, one after the other, as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.sealed import KEY_VARIABLE

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "docs" / "idempotency.md"
EXAMPLES = 7


def test_every_example_of_the_guide_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == EXAMPLES
    assert all("assert " in block for block in blocks), "an example shows what comes of it"
    ran = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", "\n".join(blocks)],
        cwd=ROOT,
        env={**os.environ, **KEY_VARIABLE, "CALLBOARD_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_files_that_the_guide_names_exist() -> None:
    named = re.findall(r"`(tests/[\w/.]+\.py)`", GUIDE.read_text())
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
