"""The command behind ``make bench``. Programs start processes that must not run this file again."""

import sys

from tests.benchmarks.programs import main

if __name__ == "__main__":
    sys.exit(main())
