"""``python -m wfst_hmm``: the command line, for places where scripts are not on the path."""

from __future__ import annotations

import sys

from wfst_hmm.cli import main

if __name__ == "__main__":
    sys.exit(main())
