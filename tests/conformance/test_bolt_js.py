"""Bolt for JavaScript as an independent client: other code, other habits (forms with JSON inside), same scenarios.

Its packages are installed from `bolt_js/package-lock.json` into a cache outside the tree. Without node these tests
are skipped and say so; with RUNBOOK_TEST_REQUIRE_NODE=1, as in CI, they fail instead.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from playground.slack import SlackWorkspace

REQUIRE_VARIABLE = "RUNBOOK_TEST_REQUIRE_NODE"
HERE = Path(__file__).parent / "bolt_js"
FILES = ("package.json", "package-lock.json")
QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
SECONDS = 240
NodeWay = Literal["socket", "http"]


def unavailable(reason: str) -> None:
    if os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(f"{REQUIRE_VARIABLE}=1, but {reason}", pytrace=False)
    pytest.skip(reason)


def install(target: Path) -> None:
    """Install into a folder beside the target and move it there: a folder that is there is complete."""
    scratch = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=target.parent))
    for name in FILES:
        shutil.copyfile(HERE / name, scratch / name)
    done = subprocess.run(
        ["npm", "ci", *QUIET], cwd=scratch, check=False, capture_output=True, text=True, timeout=SECONDS
    )
    if done.returncode:
        shutil.rmtree(scratch)
        unavailable(f"`npm ci` could not install Bolt for JavaScript: {done.stderr.strip()[-300:]}")
    try:
        scratch.rename(target)
    except OSError:  # another test process was faster
        shutil.rmtree(scratch)


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The installed packages, in a folder named after the lock file."""
    if not (shutil.which("node") and shutil.which("npm")):
        unavailable("node and npm are needed and are not on the PATH")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "runbook-bot-tests"
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in FILES)).hexdigest()
    target = cache / f"bolt-js-{digest[:16]}"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        install(target)
    return target / "node_modules"


@pytest.fixture(params=["socket", "http"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app(ws: SlackWorkspace, way: NodeWay, node_modules: Path) -> Iterator[subprocess.Popen[str]]:
    """The JavaScript app as a process of its own, connected to the workspace."""
    environ = {
        "PATH": os.environ["PATH"],
        "NODE_PATH": str(node_modules),
        "SLACK_API_URL": ws.base_url,
        "SLACK_BOT_TOKEN": ws.bot_token,
        "SLACK_APP_TOKEN": ws.app_token,
        "SLACK_SIGNING_SECRET": ws.signing_secret,
        "WAY": way,
    }
    with subprocess.Popen(["node", HERE / "app.js"], env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        ready = process.stdout.readline()
        assert ready.startswith("ready"), ready
        if way == "http":
            ws.deliver_via("http", request_url=f"http://127.0.0.1:{ready.split()[1]}/slack/events")
        else:
            ws.wait_until_connected()
        yield process
        process.kill()


def test_javascript_app_goes_from_a_command_to_a_file(ws: SlackWorkspace, app: subprocess.Popen[str]) -> None:
    alice = ws.person("alice")

    assert alice.types("/runbook restart-web", channel="ops").text == "started restart-web"
    ws.wait_for(lambda: len(alice.ephemerals("ops")) == 2)
    [asked] = ws.channel("ops").messages()
    assert alice.clicks(asked, "Go").acked
    ws.wait_for(alice.modal)

    [gone] = ws.channel("ops").messages()
    assert (gone.text, gone.buttons(), gone.metadata) == ("Gone", [], asked.metadata)
    view = alice.modal()
    assert view
    assert alice.submits(view, {"reason": "no"}).errors == {"reason": "Too short"}
    assert alice.submits(view, {"reason": "because"}).closed
    ws.wait_for(lambda: alice.ephemerals("ops")[-1].text == "17 because")
    assert [file.text() for file in ws.channel("ops").files()] == ["because"]


def test_javascript_app_answers_a_shortcut_and_an_event(ws: SlackWorkspace, app: subprocess.Popen[str]) -> None:
    bob = ws.person("bob")

    assert bob.shortcut("start").acked
    assert bob.opens_home().acked

    ws.wait_for(lambda: bob.modal() and bob.home())
    view, home = bob.modal(), bob.home()
    assert view
    assert home
    assert (view.title, home.plain()) == ("From the shortcut", "Home of U0BOB")


def test_javascript_app_is_told_of_a_revoked_token(ws: SlackWorkspace, app: subprocess.Popen[str]) -> None:
    assert ws.person("bob").opens_home().acked
    ws.wait_for(ws.person("bob").home)

    ws.revoke_token()

    assert ws.person("bob").opens_home().acked

    assert app.stdout
    assert app.stdout.readline() == "error slack_webapi_platform_error token_revoked\n"


def test_lock_of_the_javascript_app_names_no_registry_and_pins_everything() -> None:
    lock = json.loads((HERE / "package-lock.json").read_text(encoding="utf-8"))

    packages = {name: each for name, each in lock["packages"].items() if name}

    assert packages
    assert [name for name, each in packages.items() if "resolved" in each or "integrity" not in each] == []
    assert {each["license"] for each in packages.values()} <= {"MIT", "ISC", "BSD-3-Clause", "Apache-2.0"}
    assert re.findall(r"https?://", json.dumps([each | {"funding": None} for each in packages.values()])) == []
