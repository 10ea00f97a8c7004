"""`llmspell ...`: one file, one command; a folder is a group of commands.

To add a command: NAME.py here (or in a group's folder) with a click command named `command`.  It appears in `llmspell --help` at once.
A command's file imports only click, errors and what costs nothing; the rest it imports when it runs, since the help lists all of them.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `llmspell` script."""
    from ._folder import root

    # A terminal in an ASCII locale must not turn a model's answer into a UnicodeEncodeError.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    root().main(prog_name="llmspell")
