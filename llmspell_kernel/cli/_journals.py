"""Journals as the commands read them: what is left out of one is told on stderr, as figures without it are too small."""

from __future__ import annotations

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


def tell(text: str) -> None:
    """Names of files may be a stranger's too."""
    click.echo(clean_line(text, NAME_CHARS), err=True)
