"""Where files are kept that need not outlive a run: in memory if there is room, so that no commit waits for a disk."""

from __future__ import annotations

import os
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
ROOM = 2 * 2**30  #: bytes that must be free


def in_memory() -> str | None:
    """Return a folder in memory for files and scripts; None, as ``tempfile`` takes it, where none has room."""
    if not (SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK)):
        return None
    about = os.statvfs(SHARED_MEMORY)
    usable = not about.f_flag & os.ST_NOEXEC and about.f_bavail * about.f_frsize >= ROOM
    return str(SHARED_MEMORY) if usable else None
