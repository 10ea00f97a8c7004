"""`llmspell tools`: the tools that come with the package, and what tools came to, by journals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.command
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--stats", "stats", is_flag=True, help="Calls, failures, times and cost of tools, by journal FILES.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(files: tuple[Path, ...], stats: bool, as_json: bool) -> None:
    """List the built-in tools, or with --stats what tools came to.

    Without FILES, --stats reads all journals of this folder (.llmspell/journal).  The cost of a tool is that of the models that were asked
    within its calls.
    """
    if stats or files:
        _stats(files, as_json)
    else:
        _list(as_json)


def _list(as_json: bool) -> None:
    from ..engines._registry import discover
    from ..services.tools.available import built_ins
    from ._tables import show, tool_table

    specs = [tool.spec for _, tool in sorted(built_ins(tuple(engine.name for engine in discover())).items())]
    if as_json:
        click.echo(json.dumps([spec.table() for spec in specs], indent=2))
    else:
        show(tool_table([(spec.name, spec.level, spec.description.partition(". ")[0].rstrip(".")) for spec in specs]))


def _stats(files: tuple[Path, ...], as_json: bool) -> None:
    from ..journal.tool_use import ToolUse
    from ._journals import each_journal, no_journal
    from ._tables import show, tool_use_table

    use, found = ToolUse(), False
    for journal in each_journal(files):
        if journal is not None:
            use.read(journal.events)
            found = True
    rows: list[dict[str, Any]] = use.rows()
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif rows:
        show(tool_use_table(rows))
    else:
        click.echo("No tool was called." if found else no_journal("llmspell tools --stats"))
