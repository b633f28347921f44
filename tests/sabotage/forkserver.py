"""A process inside a copy of the tree that has everybody else's code imported and none of ours: ``python -m`` it.

It reads one order per line, forks for it, and answers with the exit code of pytest. What a child imports of ours is
what stands in the copy at that moment. Nothing here may import the product.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys

import pytest

LONGEST = 300  #: seconds for one order on a busy machine; whoever takes longer is ended
CUT_OFF = 128 + signal.SIGALRM


def main() -> None:
    """Carry out orders until the input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        prepare(order["preload"])
        _say(_ended(_fork(order["arguments"], order["said"])))


def prepare(names: list[str]) -> None:
    """Import what the children will need, except ours."""
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # a part that only exists while its whole is being loaded
    gc.collect()
    gc.freeze()


def _fork(arguments: list[str], said: str) -> int:
    child = os.fork()
    if child == 0:
        signal.alarm(LONGEST)
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        code = int(pytest.main(arguments))
        sys.stdout.flush()
        os._exit(code)  # threads that a sabotage has left behind are not waited for
    return child


def _ended(child: int) -> int:
    _, status = os.waitpid(child, 0)
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _say(code: int) -> None:
    sys.stdout.write(f"{code}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
