"""Plays many seeds and says what came of them: ``python -m tests.simulation --seeds 5000 --jobs 2``.

It ends with an error when an invariant broke, and says how to play that seed again.
"""

from __future__ import annotations

import sys

from tests.simulation.campaign import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
