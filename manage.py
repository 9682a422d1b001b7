#!/usr/bin/env python
"""Run Nagare's commands from a checkout; `nagare` is the same thing installed."""

import sys

from nagare_web.cli import main

if __name__ == "__main__":
    sys.exit(main())
