"""An upgrade without a pause: the version before and this one serve the same tables, and sessions cross over.

The version before is the code of the commit that the newest migration was added to, taken from the history; without
a history there is nothing to compare with.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from playground.stage import ROOT, Stage
from playground.stories import APPROVE, Scene
from storage.migrate import REVISIONS
from tests.journeys.conftest import open_room, scene_in
from tests.journeys.rows import Rows
from tests.replicas.fleet import Fleet, wait_for
from tests.replicas.test_together import begins, effects, said_once


def git(*words: str) -> bytes:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"the history of this project is not here: git {words[0]} says {done.stderr.decode().strip()}")
    return done.stdout


@pytest.fixture(scope="module")
def code_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product as it was before it had the newest migration."""
    (migration,) = (ROOT / "storage" / "migrations" / "versions").glob(f"{REVISIONS[-1]}_*.py")
    added = git("log", "--diff-filter=A", "--format=%H", "--", str(migration.relative_to(ROOT))).decode().split()
    if not added:
        pytest.skip("the newest migration is not in the history yet")
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(git("archive", f"{added[-1]}^"))) as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_sessions_cross_from_the_version_before_to_this_one_and_back(
    fleet: Fleet, scene: Scene, rows: Rows, stage: Stage, code_before: Path
):
    (old,) = fleet.start("http", code=code_before)
    scenes = {word: scene_in(stage, open_room(stage)) for word in ("by-old", "by-new")}
    gates = {word: begins(one, word) for word, one in scenes.items()}
    digests = rows.all("SELECT id, plan_digest FROM execution_sessions ORDER BY id")

    (new,) = fleet.start("http")  # it changes the tables under the old one
    fleet.reach(old)
    scenes["by-old"].clicks("bob", gates["by-old"], APPROVE)
    later = begins(scene, "begun-by-old")
    fleet.reach(new)
    scenes["by-new"].clicks("bob", gates["by-new"], APPROVE)
    scene.clicks("bob", later, APPROVE)
    for one in (scene, *scenes.values()):
        one.wait_for_words("is over", "completed")

    assert rows.all("SELECT id, plan_digest FROM execution_sessions ORDER BY id")[:2] == digests
    for word, one in (scenes | {"begun-by-old": scene}).items():
        assert effects(one, word) == [f"changed {word}"]
        assert rows.puts(one.session) == [1]
        assert said_once(one)
    errors = [line for line in old.log_lines() if '"level": "error"' in line]
    assert [line for line in errors if "StorageUnavailable" not in line] == []  # it waits while the tables change


def test_last_of_the_old_ones_leaves_and_its_session_goes_on(fleet: Fleet, scene: Scene, rows: Rows, code_before: Path):
    (old,) = fleet.start("http", code=code_before)
    gate = begins(scene, "left-over")
    (new,) = fleet.start("http")

    assert old.stop() == 0
    fleet.reach(new)
    scene.clicks("bob", gate, APPROVE)
    scene.wait_for_words("is over", "completed")

    assert effects(scene, "left-over") == ["changed left-over"]
    wait_for(new.ready, "the new one to stay ready")
