"""The command ``wfst-hmm``."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 fine, 1 failed, 2 bad usage)."""
    import sys

    from wfst_hmm.cli.app import assemble
    from wfst_hmm.cli.shell import run

    given = list(sys.argv[1:] if arguments is None else arguments)
    return run(lambda: assemble(given), given)
