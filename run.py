#!/usr/bin/env python
"""Starts the main process of VAP; see `--help`."""

import sys

from backend.program import main

if __name__ == "__main__":
    sys.exit(main())
