"""Completion of script cells in a stock IPython kernel, where the kernel's own completion request cannot be overridden.

IPython's matchers are synchronous and a worker is not asked synchronously, so globals are those seen after the state's last cell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .cells import script_cell, state_of
from .entrance import Entrance


def make_matcher(notebook: Entrance) -> Callable[[Any], dict[str, Any]]:
    """A matcher of IPython's second API: it answers for script cells, and then suppresses the Python matchers."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    from .language import complete, token_before

    def script_names(context: Any) -> dict[str, Any]:
        text = context.full_text
        cell = script_cell(text, notebook.magics, notebook.default)
        if cell is None or context.cursor_line < cell.offset:
            return {"completions": [], "suppress": False}
        lines = text.split("\n")
        cursor = sum(len(line) + 1 for line in lines[: context.cursor_line]) + context.cursor_position
        engine = notebook.engines.get(cell.engine)
        token = token_before(text, cursor)
        members = notebook.seen_globals.get((engine.name, state_of(cell)), []) if not token.path else []
        names = complete(token, members, notebook.session.declarations, engine)
        return {"completions": [SimpleCompletion(name) for name in names], "matched_fragment": token.prefix, "suppress": True}

    matcher: Callable[[Any], dict[str, Any]] = context_matcher()(script_names)
    return matcher
