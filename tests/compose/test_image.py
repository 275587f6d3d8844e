"""The Dockerfile: locked, small, and run by nobody in particular."""

import re
from importlib.metadata import requires

from packaging.requirements import Requirement

from tests.compose.reading import ROOT, copied, dockerfile, image_environment, last_stage, ours, pyproject


def test_everything_that_is_copied_exists_and_reaches_the_builder() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    let_through = {line.removeprefix("!") for line in ignore if line.startswith("!")}

    assert "*" in ignore
    for source in copied():
        assert (ROOT / source).exists(), source
        assert source.partition("/")[0] in let_through, source
    assert let_through == {source.partition("/")[0] for source in copied()}


def test_the_rooms_of_the_project_are_in_it_and_nothing_else() -> None:
    folders = {source for source in copied() if (ROOT / source).is_dir()}

    assert folders == set(pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])


def test_nothing_is_installed_that_is_not_in_the_lock() -> None:
    runs = [command for word, rest in dockerfile() if word == "RUN" for command in rest.split("&&")]
    installs = [run for run in runs if re.search(r"\bpip\b.* install\b", run)]

    assert any("-r locks/runtime.txt" in run for run in installs)
    assert all("--require-hashes" in run or "--no-index" in run for run in installs)


def test_the_build_backend_is_taken_from_the_lock_with_all_it_needs() -> None:
    (pattern,) = (found[1] for _, rest in dockerfile() if (found := re.search(r"\^\(([^)]+)\)==", rest)))
    locked = (ROOT / "locks/dev.txt").read_text(encoding="utf-8")

    assert set(pattern.split("|")) == _with_requirements("hatchling")
    for name in pattern.split("|"):
        assert re.search(rf"^{name}==", locked, re.MULTILINE), name


def test_the_base_is_a_chosen_version_of_python_that_the_project_supports() -> None:
    bases = [rest.split()[0] for word, rest in dockerfile() if word == "FROM"]

    outside = [base for base in bases if ":" in base]
    assert [re.match(r"python:3\.(\d+)-slim", base)[1] >= "11" for base in outside] == [True]
    assert set(bases) - set(outside) == {"base"}


def test_the_finished_image_has_no_build_tools_and_runs_as_an_ordinary_user() -> None:
    stage = last_stage()
    words = dict(stage)

    assert not [rest for word, rest in stage if word == "RUN" and re.search(r"\bpip\b|apt-get|curl", rest)]
    assert int(words["USER"].partition(":")[0]) > 0
    assert f"--uid {words['USER'].partition(':')[0]}" in words["RUN"]
    assert [word for word, _ in stage].index("USER") > [word for word, _ in stage].index("RUN")
    assert "HEALTHCHECK" in words


def test_its_environment_is_unbuffered_and_holds_no_secret() -> None:
    variables = image_environment()

    assert variables["PYTHONUNBUFFERED"] == "1"
    assert not [name for name in variables if re.search(r"PASS|SECRET|TOKEN|KEY|URL", name)]


def test_what_is_kept_lies_in_volumes_under_the_home_folder() -> None:
    home = image_environment()["CALLBOARD_HOME"]
    folders = {place for service in ours().values() for place in service.get("volumes", ())}

    assert folders == {f"home:{home}", f"reports:{home}/reports"}
    assert f"{home} {home}/reports" in dict(last_stage())["RUN"]  # made there, so that its user owns them


def _with_requirements(name: str) -> set[str]:
    found = {name}
    for line in requires(name) or ():
        requirement = Requirement(line)
        if not requirement.marker or requirement.marker.evaluate({"extra": "", "python_version": "3.12"}):
            found |= _with_requirements(requirement.name)
    return found
