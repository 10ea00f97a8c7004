"""A spell's error as the lines of a traceback: what happened, where in the script, and what to do next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..errors import (
    BridgeError,
    Frame,
    InternalError,
    LimitError,
    ProtocolError,
    ScriptError,
    SpellError,
    WorkerLost,
)
from .frames import LeftOut, shown_frames
from .text import RESET, clean, clean_capped, clean_clipped, clip, width

CONTEXT_LINES = 2
LINE_CHARS = 160
MESSAGE_CHARS = 4_000
NAME_CHARS = 100
"""Of a name of any kind: an error, a chunk, a function, a capability, a limit."""

Paint = Callable[[str, str], str]
# the heading is bold, and the next step is plain: JupyterLab shows errors on a red ground, on which colours are hard to read in its dark theme
_RED, _BLUE, _BOLD = "1", "34", "1"


def traceback_lines(error: SpellError, sources: Mapping[str, str], *, colour: bool, titles: Mapping[str, str] | None = None) -> list[str]:
    """Text lines without line ends.  `sources` maps a chunk's name (`cell[3]`) to its source text, `titles` an engine's name to how
    people write it (`EngineRegistry.titles`)."""

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}{RESET}" if colour else text

    lines = _heading(error, (titles or {}).get(error.engine, error.engine), paint)
    shown = shown_frames(error.frames)
    # only what is shown is looked up, each source cut into lines once: a hostile worker may send 20,000 frames
    chunks = {frame.chunk for frame in shown if isinstance(frame, Frame)}
    split = {chunk: _split(sources[chunk]) for chunk in chunks if chunk in sources}
    coded = next((at for at, frame in enumerate(shown) if isinstance(frame, Frame) and _source_line(frame, split) is not None), None)
    for at, frame in enumerate(shown):
        if isinstance(frame, LeftOut):
            lines.append(f"  {frame}")
        elif at == coded:
            lines.append(f"  {paint(_BLUE, _place(frame))}")
            lines.extend(_code_frame(frame, split[frame.chunk], paint))
        else:
            source = _source_line(frame, split)
            code = "" if source is None else f": {clean_clipped(source.strip(), LINE_CHARS)}"
            lines.append(f"  {paint(_BLUE, _place(frame))}{code}")
    step = next_step(error)
    return [*lines, f"→ {step}"] if step else lines


def error_name(error: SpellError) -> str:
    """The language's own name for a script's error, else our class's."""
    own = clean_clipped(error.name, NAME_CHARS).strip() if isinstance(error, ScriptError) else ""
    return own or type(error).__name__


def next_step(error: SpellError) -> str:
    """What the reader can do, where the kind of error tells; one line."""
    match error:
        case LimitError(limit=limit) if limit.rpartition(".")[2] not in error.message:  # else it says how to raise it
            used = f", {_number(error.used)} asked for or used" if error.used else ""
            return (
                f"The limit {clean_clipped(limit, NAME_CHARS)} is {_number(error.value)}{used}. Let the script do less, or raise the limit."
            )
        case BridgeError(retryable=True):
            return "This may pass: the same call can work later."
        case WorkerLost():
            reason = f" ({clean_clipped(error.reason, LINE_CHARS)})" if error.reason and error.reason not in error.message else ""
            return f"The process that ran this state is gone{reason}. Run again the cells whose variables you need."
        case ProtocolError() | InternalError():
            return "This is not your script's fault. Please report it, with this text."
    return ""


def _heading(error: SpellError, engine: str, paint: Paint) -> list[str]:
    where = f" ({clean_clipped(engine, NAME_CHARS)})" if engine else ""
    first, *rest = clean_capped(error.message, MESSAGE_CHARS).split("\n")
    return [f"{paint(_RED, error_name(error))}{where}: {first}", *rest]


def _place(frame: Frame) -> str:
    parts = [clean_clipped(frame.chunk, LINE_CHARS)]
    if frame.line:
        parts[0] += f" line {frame.line}"
    if frame.line and frame.column:
        parts.append(f"column {frame.column}")
    if frame.function:
        parts.append(f"in {clean_clipped(frame.function, NAME_CHARS)}")
    return ", ".join(parts)


def _source_line(frame: Frame, split: Mapping[str, Sequence[str]]) -> str | None:
    lines = split.get(frame.chunk, ())
    return lines[frame.line - 1] if 1 <= frame.line <= len(lines) else None


def _split(source: str) -> list[str]:
    """Only the line ends that engines count: str.splitlines also cuts at form feeds and more."""
    return source.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _code_frame(frame: Frame, lines: Sequence[str], paint: Paint) -> list[str]:
    first = max(1, frame.line - CONTEXT_LINES)
    last = min(len(lines), frame.line + CONTEXT_LINES)
    if last > frame.line and not lines[last - 1]:
        last -= 1  # what follows a final line end is no line to show
    size = len(str(last))
    # a long line (minified code) is shown around its column
    start = max(0, frame.column - LINE_CHARS // 2) if len(lines[frame.line - 1]) > LINE_CHARS else 0
    out = []
    for number in range(first, last + 1):
        text = lines[number - 1]
        is_place = number == frame.line
        shown = clean(text[start : start + LINE_CHARS]) if is_place else clip(clean(text[: LINE_CHARS + 1]), LINE_CHARS)
        gutter = f"  {'>' if is_place else ' '} {number:>{size}} |"
        out.append((paint(_BOLD, f"{gutter} {shown}") if is_place else f"{gutter} {shown}").rstrip())
        if is_place and 0 < frame.column <= len(text) + 1:
            before = "".join(char if char == "\t" else " " * width(char) for char in clean(text[start : frame.column - 1]))
            out.append(f"    {' ' * size} | {before}{paint(_BOLD, '^')}")
    return out


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"
