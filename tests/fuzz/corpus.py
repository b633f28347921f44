"""The corpus: small inputs worth trying always, one file each, in a folder by the name of the target.

An input that once broke something stays here for ever. Files are replayed in every run of the tests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def inputs(name: str, root: Path = CORPUS) -> Iterator[tuple[str, bytes]]:
    """Give the file name and content of every input of a target, in a stable order."""
    folder = root / name
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        yield path.name, path.read_bytes()


def keep(name: str, data: bytes, *, what: str, root: Path) -> Path:
    """Write an input down under a name that its content decides; return where."""
    path = root / name / f"{what}-{hashlib.sha256(data).hexdigest()[:16]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
