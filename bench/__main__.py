"""`make bench`: runs the benchmarks one after the other and prints their tables.

`make bench ARGS="queue camera"` runs only those. None of them fails because something is slow.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCHES = ("queue", "camera", "stutter", "analyser", "scene", "speech")


def main() -> int:
    """Run the named benchmarks, or all; the worst exit code."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}")
    names = parser.parse_args().names or BENCHES
    unknown = set(names) - set(BENCHES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    codes = [
        subprocess.run([sys.executable, "-m", f"bench.{name}"], cwd=ROOT, check=False).returncode
        for name in names
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
