"""The commands of `%llmspell` that show tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from textwrap import wrap
from typing import Any

from ..errors import ConfigError
from ..render.text import clean_line
from ..shown import Markdown, Table
from .written_help import WIDTH

NAME_CHARS = 200
DESCRIPTION_CHARS = 1_000


async def tools(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    found = await notebook.session.call_bridge("tools", "list", *words)
    if found:
        from ..render.guard import published
        from ..render.shown import shown_bundle

        bundle = shown_bundle(Table(found, ["name", "level", "source", "description"]))
        data, metadata = published({**bundle, "text/plain": "\n".join(_lines(found))}, {})
        notebook.shell.display_pub.publish(data, metadata)
    else:
        print("There is no such tool." if words else "There are no tools.")


def _lines(found: Sequence[Any]) -> Iterator[str]:
    """For a terminal, where a table of descriptions wraps each of its rows."""
    for tool in found:
        yield f"{clean_line(tool['name'], NAME_CHARS)}  ({clean_line(tool['level'], NAME_CHARS)}, {clean_line(tool['source'], NAME_CHARS)})"
        yield from wrap(clean_line(tool["description"], DESCRIPTION_CHARS), WIDTH, initial_indent="    ", subsequent_indent="    ")


async def tool(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    if not words:
        raise ConfigError("%llmspell tool needs the tool's name; %llmspell tools tells which there are")
    about = await notebook.session.call_bridge("tools", "describe", words[0])
    if notebook.settings.display == "static":
        return show(Markdown(await notebook.session.call_bridge("tools", "docs", words[0])))
    from IPython.display import display

    from .tool_form import ToolForm

    display(ToolForm(about, notebook.session).view)
