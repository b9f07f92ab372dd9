"""Run every check of the project: ``python tests/check.py [--fast]``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent

STATIC = [
    ["ruff", "check"],
    ["ruff", "format", "--check"],
    ["pyright", "--pythonpath", sys.executable],
    ["lint-imports"],
]
TESTS = [["pytest"]]


def main() -> int:
    """Run all checks, also after one has failed; returns the number of those that failed."""
    checks = STATIC if "--fast" in sys.argv else STATIC + TESTS
    failed = []
    for name, *arguments in checks:
        print(f"== {name}", flush=True)
        if subprocess.call([str(BIN / name), *arguments], cwd=ROOT):
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "all checks passed")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
