"""The place of an error that its engine named none for, or one behind the cell's last line."""

from __future__ import annotations

from ..errors import Frame, LimitError, ScriptError, SpellError

SYNTAX_ERROR = "SyntaxError"


def placed(error: SpellError, chunk: str, code: str) -> SpellError:
    """The same error.  `code` is the cell's with the lines above it, "" where it has none."""
    if isinstance(error, LimitError) and not error.frames:  # the engine cannot say where a loop was when it was stopped
        error.frames = (Frame(chunk, 0),)
    if isinstance(error, ScriptError) and error.name == SYNTAX_ERROR and code:
        last = code.rstrip().count("\n") + 1
        # the end of the text, where a parser misses something, is behind the line end that the front end puts there
        error.frames = tuple(
            frame._replace(line=last, column=0) if frame.chunk == chunk and frame.line > last else frame for frame in error.frames
        )
    return error
