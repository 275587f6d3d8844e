"""The README's example prints what the README says."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.actors.test_importing_actors import shipped

ROOT = Path(__file__).parent.parent


def test_the_example_prints_what_the_readme_says(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    found = re.search(
        r"<!-- example -->\n```python\n(.*?)```\n<!-- prints -->\n```\n(.*?)```", readme, re.DOTALL
    )
    assert found is not None
    example, promised = found.groups()
    assert len([line for line in example.splitlines() if line.strip()]) <= 12
    # A reader may have put this very actor into the checkout: it runs beside the actors that are shipped.
    shutil.copytree(ROOT / "actors", tmp_path / "actors", ignore=shipped)
    ran = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, timeout=55, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, promised, "")


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_make_targets_that_the_readme_names_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^    |`)make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert set(named) <= targets
