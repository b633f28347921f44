"""The catalog: follows its files, and a broken file hides only itself."""

from __future__ import annotations

import os
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.errors import InvalidInput, NotFound
from storage.catalog import FileCatalog, lint


def a_file(directory: Path, name: str, *, title: str = "Demo", ending: str = "yaml") -> Path:
    path = directory / f"{name}.{ending}"
    path.write_text(
        f"name: {name}\ntitle: {title}\nowner: team\nenvironment: prod\nrisk: low\nos: linux\ntargets: any\n"
        "steps:\n  - name: Look\n    run: uptime\n"
    )
    return path


@pytest.fixture
def catalog(tmp_path: Path) -> FileCatalog:
    a_file(tmp_path, "restart-web")
    a_file(tmp_path, "disk-full")
    return FileCatalog(tmp_path)


def test_names_are_those_of_all_valid_files_sorted(catalog: FileCatalog) -> None:
    assert catalog.names() == ("disk-full", "restart-web")
    assert catalog.problems() == {}


def test_a_runbook_is_found_by_its_name(catalog: FileCatalog, tmp_path: Path) -> None:
    document = catalog.get("restart-web")

    assert (document.name, document.source) == ("restart-web", str(tmp_path / "restart-web.yaml"))


def test_an_unknown_name_is_answered_with_the_nearest(catalog: FileCatalog) -> None:
    with pytest.raises(NotFound, match=r"no runbook called 'restart-wbe'\. Did you mean restart-web\?"):
        catalog.get("restart-wbe")


@pytest.mark.parametrize("name", ["../restart-web", "/etc/passwd", "restart-web.yaml", "", "Restart-Web"])
def test_a_name_is_never_a_path(catalog: FileCatalog, name: str) -> None:
    with pytest.raises(NotFound):
        catalog.get(name)


def test_a_changed_file_is_read_again(catalog: FileCatalog, tmp_path: Path) -> None:
    before = catalog.get("restart-web")

    a_file(tmp_path, "restart-web", title="Changed")

    after = catalog.get("restart-web")
    assert (before.runbook.title, after.runbook.title) == ("Demo", "Changed")
    assert before.digest != after.digest


def test_an_unchanged_file_is_not_read_again(catalog: FileCatalog) -> None:
    assert catalog.get("restart-web") is catalog.get("restart-web")


def test_files_come_and_go(catalog: FileCatalog, tmp_path: Path) -> None:
    catalog.names()

    a_file(tmp_path, "new-one")
    (tmp_path / "disk-full.yaml").unlink()

    assert catalog.names() == ("new-one", "restart-web")


def test_a_broken_file_hides_only_itself_and_says_why(catalog: FileCatalog, tmp_path: Path) -> None:
    catalog.names()

    (tmp_path / "restart-web.yaml").write_text("name: restart-web\nname: again\n")

    assert catalog.names() == ("disk-full",)
    assert "restart-web.yaml:2:1: the key 'name' stands here again." in catalog.problems()["restart-web.yaml"]
    with pytest.raises(InvalidInput, match=r"restart-web\.yaml:2:1"):
        catalog.get("restart-web")


def test_a_repaired_file_is_served_again(catalog: FileCatalog, tmp_path: Path) -> None:
    (tmp_path / "restart-web.yaml").write_text("name: [")
    catalog.names()

    a_file(tmp_path, "restart-web")

    assert catalog.names() == ("disk-full", "restart-web")


def test_a_file_must_bear_the_name_of_its_runbook(catalog: FileCatalog, tmp_path: Path) -> None:
    (tmp_path / "restart-web.yaml").rename(tmp_path / "other.yaml")

    assert catalog.names() == ("disk-full",)
    assert "called 'restart-web', but its file 'other'" in catalog.problems()["other.yaml"]


def test_a_name_that_two_files_claim_is_served_from_neither(catalog: FileCatalog, tmp_path: Path) -> None:
    a_file(tmp_path, "restart-web", ending="yml")

    assert catalog.names() == ("disk-full",)
    assert "restart-web.yaml has the same name" in catalog.problems()["restart-web.yml"]
    assert "restart-web.yml has the same name" in catalog.problems()["restart-web.yaml"]


def test_a_link_out_of_the_directory_is_refused(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (inside / "restart-web.yaml").symlink_to(a_file(outside, "restart-web"))

    catalog = FileCatalog(inside)

    assert catalog.names() == ()
    assert "leads out of the runbook directory" in catalog.problems()["restart-web.yaml"]


def test_a_link_within_the_directory_is_followed(catalog: FileCatalog, tmp_path: Path) -> None:
    (tmp_path / "restart-web.yaml").rename(tmp_path / "real.txt")
    (tmp_path / "restart-web.yaml").symlink_to("real.txt")

    assert catalog.names() == ("disk-full", "restart-web")


def test_what_cannot_be_read_is_a_problem_and_no_crash(catalog: FileCatalog, tmp_path: Path) -> None:
    (tmp_path / "gone.yaml").symlink_to("nowhere")
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")

    assert catalog.names() == ("disk-full", "restart-web")
    assert set(catalog.problems()) == {"gone.yaml", "folder.yaml", "pipe.yaml"}


def test_a_readme_and_hidden_files_are_no_runbooks(catalog: FileCatalog, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Runbooks\n")
    (tmp_path / ".restart-web.yaml").write_text("half a file")

    assert catalog.problems() == {}


def test_a_missing_directory_is_named_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="RUNBOOK_DIR"):
        FileCatalog(tmp_path / "none").names()


def test_many_threads_see_whole_documents_while_a_file_changes(catalog: FileCatalog, tmp_path: Path) -> None:
    titles: set[str] = set()
    start = threading.Barrier(5)

    def read() -> None:
        start.wait()
        titles.update(catalog.get("disk-full").runbook.title for _ in range(20))

    def write() -> None:
        start.wait()
        for number in range(20):
            fresh = a_file(tmp_path, "fresh", title=f"T{number}", ending="txt")
            fresh.write_text(fresh.read_text().replace("name: fresh", "name: disk-full"))
            fresh.replace(tmp_path / "disk-full.yaml")

    threads = [threading.Thread(target=read) for _ in range(4)] + [threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert titles <= {"Demo", *(f"T{number}" for number in range(20))}
    assert catalog.get("disk-full").runbook.title == "T19"


def test_lint_tells_the_problems_of_files_and_directories(tmp_path: Path) -> None:
    good, bad = a_file(tmp_path, "good"), tmp_path / "bad.yaml"
    bad.write_text("name: bad\ncolour: red\n")

    assert lint([good]) == []
    assert {problem.file for problem in lint([bad])} == {str(bad)}
    assert lint([tmp_path]) == lint([bad])
    assert "cannot be read" in lint([tmp_path / "none.yaml"])[0].message


# ---------------------------------------------------------------- who changed it last


def git(directory: Path, *arguments: str) -> None:
    identity = {
        "GIT_AUTHOR_NAME": "Ada Lovelace",
        "GIT_AUTHOR_EMAIL": "a@x",
        "GIT_COMMITTER_NAME": "C",
        "GIT_COMMITTER_EMAIL": "c@x",
    }
    times = {"GIT_AUTHOR_DATE": "2026-03-04T05:06:07+00:00", "GIT_COMMITTER_DATE": "2026-03-04T05:06:07+00:00"}
    clean = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "HOME": str(directory)}
    environment = {"PATH": os.environ["PATH"], **identity, **times, **clean}
    subprocess.run(["git", *arguments], cwd=directory, env=environment, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    a_file(tmp_path, "restart-web")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    return tmp_path


def test_the_last_change_is_told_from_git(repository: Path) -> None:
    document = FileCatalog(repository).get("restart-web")

    assert document.modified_by == "Ada Lovelace"
    assert document.modified_at == datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    assert len(document.commit) == 40


def test_a_change_that_is_not_committed_is_not_ascribed_to_the_last_author(repository: Path) -> None:
    catalog = FileCatalog(repository)
    catalog.get("restart-web")

    a_file(repository, "restart-web", title="Changed")

    document = catalog.get("restart-web")
    assert (document.modified_by, document.modified_at, document.commit) == ("", None, "")


def test_without_git_nothing_is_told_and_nothing_fails(catalog: FileCatalog) -> None:
    document = catalog.get("restart-web")

    assert (document.modified_by, document.modified_at, document.commit) == ("", None, "")
