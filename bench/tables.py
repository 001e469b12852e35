"""Markdown tables on standard output, with the machine's state above them."""

from __future__ import annotations

import os
from collections.abc import Sequence


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print one table; the load average says how far to trust absolute times."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"\n### {title}\n\n{os.cpu_count()} cores, load average {load}\n")
    print("| " + " | ".join(header) + " |")
    print("| " + " | ".join("---" for _ in header) + " |")
    for row in rows:
        print("| " + " | ".join(str(value) for value in row) + " |")
    print(flush=True)
