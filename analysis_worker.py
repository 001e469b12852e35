#!/usr/bin/env python
"""Starts an analysis worker; see `--help`."""

import sys

from backend.worker import main

if __name__ == "__main__":
    sys.exit(main())
