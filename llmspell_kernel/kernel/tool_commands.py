"""The commands of `%llmspell` that show tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ConfigError
from ..shown import Markdown, Table


async def tools(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    found = await notebook.session.call_bridge("tools", "list", *words)
    if found:
        show(Table(found, ["name", "level", "source", "description"]))
    else:
        print("There is no such tool." if words else "There are no tools.")


async def tool(words: Sequence[str], notebook: Any, show: Callable[[Any], None]) -> None:
    if not words:
        raise ConfigError("%llmspell tool needs the tool's name; %llmspell tools tells which there are")
    about = await notebook.session.call_bridge("tools", "describe", words[0])
    if notebook.settings.display == "static":
        return show(Markdown(await notebook.session.call_bridge("tools", "docs", words[0])))
    from IPython.display import display

    from .tool_form import ToolForm

    display(ToolForm(about, notebook.session).view)
