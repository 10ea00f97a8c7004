"""Journals as the commands read them: what is left out of one is told on stderr, as figures without it are too small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..render.text import clean_line, plural

if TYPE_CHECKING:
    from ..journal.event_text import ReadEvents

NAME_CHARS = 500


def loaded(file: Path) -> ReadEvents:
    """Raises LoadError for what is no journal or cannot be read."""
    from ..journal.event_file import load_events

    found = load_events(file)
    if found.unreadable:
        are = "is" if found.unreadable == 1 else "are"
        tell(f"{plural(found.unreadable, 'line')} of {file.name} could not be read, and {are} left out")
    return found


def no_journal(command: str) -> str:
    return f"There is no journal in .llmspell/journal of this folder; name the FILES of one that lies elsewhere: {command} FILE ..."


def each_journal(files: Sequence[Path]) -> Iterator[ReadEvents | None]:
    """Those of the files, else all of this folder; None for one of the folder that was left out, which is told.

    Raises LoadError for one that the user named.
    """
    from ..errors import LoadError
    from ..journal.event_file import journals_in

    for file in files or journals_in(Path.cwd()):
        try:
            yield loaded(file)
        except LoadError as error:
            if files:
                raise
            tell(f"left out: {error.message}")
            yield None


def tell(text: str) -> None:
    """Names of files may be a stranger's too."""
    click.echo(clean_line(text, NAME_CHARS), err=True)
