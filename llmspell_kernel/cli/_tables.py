"""Facts -> tables that read well in 80 columns of a terminal, and line by line elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from io import StringIO
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console, RenderableType
from rich.table import Column, Table
from rich.text import Text

from ..configuration.rules import amount
from ..render.text import clean_line

if TYPE_CHECKING:
    from ..configuration.policy_overview import Line
    from ..configuration.rules import Entry

UNWRAPPED_COLUMNS = 10_000
NAME_CHARS = 200
YES, NO = Text("yes", style="green"), Text("no", style="yellow")
USABLE = {True: YES, False: NO, None: Text("?", style="yellow")}


def show(*parts: RenderableType) -> None:
    """Prints to stdout, wrapped to the terminal's width; a pipe or file gets each fact on one line, for `grep` and the like."""
    written = StringIO()
    console = Console(highlight=False) if sys.stdout.isatty() else Console(file=written, highlight=False, width=UNWRAPPED_COLUMNS)
    for part in parts:
        console.print(part)
    for line in written.getvalue().splitlines():  # without the blanks that make the columns of a table equally wide
        click.echo(line.rstrip())


def heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def pairs(rows: Mapping[str, object]) -> Table:
    """Name and value, one pair a line."""
    table = _grid()
    for name, value in rows.items():
        table.add_row(Text(f"  {name}"), Text(str(value)))
    return table


def model_table(models: Iterable[Mapping[str, Any]]) -> Table:
    table = _grid()
    for model in models:
        table.add_row(Text(f"  {model['name']}"), USABLE[model["usable"]], Text(model["note"]))
    return table


def bridge_table(bridges: Iterable[Mapping[str, Any]]) -> Table:
    table = _grid()
    for bridge in bridges:
        own = bridge["source"].startswith("llmspell_kernel.")
        told = Text("does not load", style="red") if bridge["problem"] else Text(bridge["doc"])
        table.add_row(Text(f"  {bridge['name']}"), Text("built in" if own else bridge["source"], style="dim", overflow="fold"), told)
    return table


def server_table(servers: Iterable[Mapping[str, Any]]) -> Table:
    table = _grid()
    for server in servers:
        told = Text("cannot start", style="red") if server["problem"] else Text("not started here", style="dim")
        table.add_row(Text(f"  {server['name']}"), told, Text(server["runs"], style="dim", overflow="fold"))
    return table


def tool_table(tools: Iterable[tuple[str, str, str]]) -> Table:
    """Of (name, level, what it does)."""
    table = _grid()
    for name, level, what in tools:
        table.add_row(Text(f"  {name}"), Text(level, style="dim"), Text(what))
    return table


def tool_use_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Names come from journals, which may be a stranger's."""
    from ..render.trace import money

    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("tool", "calls", "failures", "p50", "p95", "tokens", "cost", "unpriced"):
        table.add_column(head, justify="left" if head == "tool" else "right")
    for row in rows:
        times = [Text("-" if row[key] is None else f"{1000 * row[key]:,.1f} ms") for key in ("latency_p50_s", "latency_p95_s")]
        counts = [Text(f"{count:,}") for count in (row["calls"], sum(row["failures"].values()))]
        spent = [Text(f"{row['tokens']:,}"), Text(money(row["cost_usd"])), Text(f"{row['unpriced']:,}")]
        table.add_row(Text(clean_line(row["name"], NAME_CHARS)), *counts, *times, *spent)
    return table


def kernel_table(specs: Iterable[Mapping[str, Any]]) -> Table:
    table = _grid()
    for spec in specs:
        table.add_row(Text(f"  {spec['name']}"), Text(spec["display_name"]), Text(spec["folder"], style="dim", overflow="fold"))
        if spec["problem"]:
            table.add_row("", Text("broken", style="red"), Text(spec["problem"]))
    return table


def setting_table(rows: Iterable[Entry]) -> Table:
    table = _grid()
    for row in rows:
        table.add_row(
            Text(f"  {row.key}"), Text(amount(row.key, row.value), overflow="fold"), Text(str(row.origin), style="dim", overflow="fold")
        )
    return table


def line_table(lines: Iterable[Line]) -> Table:
    table = _grid()
    for line in lines:
        table.add_row(Text(f"  {line.name}"), Text(line.value, overflow="fold"), Text(line.origin, style="dim", overflow="fold"))
    return table


def _grid() -> Table:
    """Its first column holds names, which are never cut or broken: the others give way."""
    return Table.grid(Column(no_wrap=True), padding=(0, 2))
