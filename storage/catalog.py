"""The catalog of runbook files in one directory: read, validated, kept until a file changes.

A broken file hides only itself, and says why. Nothing here may ever follow a link out of the directory, run a
file, or serve a version of a runbook that is no longer in its file.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from hashlib import sha1
from pathlib import Path
from threading import Lock

from engine.errors import InvalidInput, NotFound
from engine.runbook import Document
from storage.strict_yaml import MalformedFile, Problem, load_document

ENDINGS = (".yaml", ".yml", ".md")
GIT_SECONDS = 2.0

Signature = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """What is known of one file: either a document or problems."""

    signature: Signature
    document: Document | None = None
    problems: tuple[Problem, ...] = ()


class FileCatalog:
    """The runbooks of a directory; implements ``engine.ports.Catalog``. Safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._entries: dict[Path, _Entry] = {}
        self._asked_git: dict[Path, Document] = {}
        self._lock = Lock()

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(_served(self._refreshed())))

    def get(self, name: str) -> Document:
        entries = self._refreshed()
        served = _served(entries)
        if name not in served:
            raise _refusal(name, served, _problems(entries))
        path = served[name]
        document = entries[path].document
        if document is None:
            raise _refusal(name, served, _problems(entries))
        return self._with_history(path, document)

    def problems(self) -> Mapping[str, str]:
        found = _problems(self._refreshed())
        return {path.name: "\n".join(map(str, problems)) for path, problems in sorted(found.items())}

    def _refreshed(self) -> dict[Path, _Entry]:
        with self._lock:
            self._entries = {path: self._entry(path) for path in runbook_files(self._directory)}
            return dict(self._entries)

    def _entry(self, path: Path) -> _Entry:
        known = self._entries.get(path)
        signature = _signature(path)
        return known if known and signature and known.signature == signature else _read(path, signature)

    def _with_history(self, path: Path, document: Document) -> Document:
        with self._lock:
            known = self._asked_git.get(path)
        if known is None or known.digest != document.digest:
            known = _told_by_git(path, document)
            with self._lock:
                self._asked_git[path] = known
        return known


def lint(paths: Iterable[Path]) -> list[Problem]:
    """Return everything that is wrong with the given files and the runbook files of the given directories."""
    problems: list[Problem] = []
    for path in paths:
        if path.is_dir():
            found = _problems({file: _read(file, _signature(file)) for file in runbook_files(path)})
            problems += [problem for file in sorted(found) for problem in found[file]]
        else:
            problems += _read(path, _signature(path)).problems
    return problems


def runbook_files(directory: Path) -> list[Path]:
    """Return the files that may be runbooks, sorted. A README and hidden files are none."""
    if not directory.is_dir():
        raise InvalidInput(
            f"The runbook directory {directory} does not exist.", hint="Create it or set RUNBOOK_DIR to another."
        )
    files = (path for path in directory.iterdir() if path.suffix.lower() in ENDINGS)
    return sorted(path for path in files if path.stem.lower() != "readme" and not path.name.startswith("."))


def _served(entries: Mapping[Path, _Entry]) -> dict[str, Path]:
    """Return runbook name -> file, without broken files and without names that two files claim."""
    broken = _problems(entries)
    return {path.stem: path for path in entries if path not in broken}


def _problems(entries: Mapping[Path, _Entry]) -> dict[Path, tuple[Problem, ...]]:
    found = {path: entry.problems for path, entry in entries.items() if entry.problems}
    by_stem: dict[str, list[Path]] = {}
    for path in sorted(entries):
        by_stem.setdefault(path.stem, []).append(path)
    for claimants in by_stem.values():
        for path in claimants if len(claimants) > 1 else ():
            others = " and ".join(other.name for other in claimants if other != path)
            found[path] = (*found.get(path, ()), _problem(path, f"{others} has the same name.", "Keep one of them."))
    return found


def _read(path: Path, signature: Signature) -> _Entry:
    try:
        _check_file(path)
        return _Entry(signature=signature, document=load_document(path))
    except MalformedFile as error:
        return _Entry(signature=signature, problems=error.problems)
    except OSError as error:
        why = error.strerror or type(error).__name__
        problem = _problem(path, f"the file cannot be read: {why}.", "Check that it exists and its permissions.")
        return _Entry(signature=signature, problems=(problem,))


def _check_file(path: Path) -> None:
    if not path.resolve(strict=True).is_relative_to(path.parent.resolve()):
        raise MalformedFile((_problem(path, "the link leads out of the runbook directory.", "Copy the file here."),))
    if not path.is_file():
        raise MalformedFile((_problem(path, "this is not a regular file.", "Remove it from the directory."),))


def _signature(path: Path) -> Signature:
    """Return what changes when the file does; empty when it cannot be looked at, which never counts as unchanged."""
    try:
        seen = path.stat()
    except OSError:
        return ()
    return seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size, seen.st_ino, seen.st_dev


def _refusal(
    name: str, served: Mapping[str, Path], broken: Mapping[Path, tuple[Problem, ...]]
) -> InvalidInput | NotFound:
    for path, problems in broken.items():
        if path.stem == name:
            return InvalidInput(
                f"The file of runbook {name!r} is not valid: {problems[0]}", hint="Its owner must repair it."
            )
    near = get_close_matches(name, list(served), n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else "`/runbook list` shows all runbooks."
    return NotFound(f"There is no runbook called {name!r}.", hint=hint)


def _problem(path: Path, message: str, hint: str) -> Problem:
    return Problem(file=str(path), line=1, column=1, message=message, hint=hint)


def _told_by_git(path: Path, document: Document) -> Document:
    """Add who changed the file last, when git knows and the file is as committed. Never fails: this is decoration."""
    try:
        answer = subprocess.run(  # noqa: S603  # a fixed program with our own arguments
            [  # noqa: S607  # the git of the system, wherever it is installed
                "git",
                "-c",
                "core.fsmonitor=false",  # a repository must not name programs for us to run
                "-C",
                str(path.resolve().parent),
                "log",
                "-1",
                "--raw",
                "--no-abbrev",
                "--no-renames",
                "--no-show-signature",
                "--format=%H%x00%an%x00%aI",
                "--",
                path.resolve().name,
            ],
            capture_output=True,
            check=True,
            stdin=subprocess.DEVNULL,
            timeout=GIT_SECONDS,
        ).stdout.decode("utf-8", errors="replace")
        commit, author, rest = answer.split("\0")
        when, _, changes = rest.partition("\n")
        if _blob_id(path) not in changes.split():
            return document
        return replace(
            document, modified_by=_plain_name(author), modified_at=datetime.fromisoformat(when), commit=commit
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return document


def _blob_id(path: Path) -> str:
    """Return git's name of the file's present content."""
    data = path.read_bytes()
    return sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _plain_name(name: str) -> str:
    return "".join(character for character in name if character.isprintable())[:80]
