"""`llmspell trace`: what the calls of a session were, from its journal."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the events, one JSON object a line.")
@click.option("--html", "html", type=click.Path(path_type=Path), metavar="PAGE", help="Write a page instead.")
def command(file: Path, as_json: bool, html: Path | None) -> None:
    """Show the calls in a journal FILE, cell by cell.

    Arguments, answers, tokens, cost, time, attempts and denials.  Sessions in a notebook keep their journals in .llmspell/journal beside it;
    `llmspell run --journal FILE` writes one.
    """
    from ..journal.event_text import line_of
    from ..journal.user_files import write_file
    from ..render.journal import painted, plain, trace_page, trace_text
    from ._journals import loaded

    found = loaded(file)
    if as_json:
        sys.stdout.buffer.write(b"".join(map(line_of, found.events)))
    elif html is not None:
        write_file(html, trace_page(found.events, file.name))
        click.echo(f"written: {html}")
    else:
        click.echo(trace_text(found.events, painted if sys.stdout.isatty() else plain))
