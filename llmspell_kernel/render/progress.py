"""A progress bar as one line: of text, and of HTML that says the same without its styles."""

from __future__ import annotations

from ..shown import Progress
from .pretty import short_number
from .text import clean_clipped, clip, escape

LABEL_CHARS = 200
BAR_COLUMNS = 20
_LINE = "display:flex;flex-wrap:wrap;align-items:center;gap:2px 10px;margin:2px 0"
_TRACK = "width:200px;height:8px;border-radius:4px;overflow:hidden;background-color:rgba(127,127,127,.25)"
_COLOURS = {"✓": "rgba(46,160,67,.9)", "⊘": "rgba(127,127,127,.75)", "◌": "rgba(25,118,210,.9)"}
_COUNT = "white-space:nowrap;font-variant-numeric:tabular-nums"


def progress_plain(progress: Progress, *, with_bar: bool = False) -> str:
    """`✓ Reading 40/40 (100 %)`; with a bar of characters for a terminal."""
    part = _part(progress)
    parts = [_icon(progress), _one_line(progress.label)]
    if with_bar and part is not None:
        full = int(part * BAR_COLUMNS)
        parts.append(f"[{'#' * full}{'.' * (BAR_COLUMNS - full)}]")
    parts += [_count(progress), _one_line(progress.text)]
    return " ".join(filter(None, parts))


def progress_html(progress: Progress) -> str:
    icon, part = _icon(progress), _part(progress)
    label, text = escape(_one_line(progress.label)), escape(_one_line(progress.text))
    pieces = [f"<span>{icon} {label}</span>"]
    if part is not None:
        full = f'<div style="width:{part * 100:.1f}%;height:100%;background-color:{_COLOURS[icon]}"></div>'
        pieces.append(f'<div style="{_TRACK}">{full}</div>')
    pieces.append(f'<span style="{_COUNT}">{_count(progress)}</span>')
    if text:
        pieces.append(f'<span style="opacity:.75">{text}</span>')
    return f'<div class="mathjax_ignore" style="{_LINE}">{" ".join(pieces)}</div>'


def is_complete(progress: Progress) -> bool:
    """Is there nothing more to do?  Of an unknown amount, that is so once the bar has ended."""
    return progress.ended if progress.total is None else progress.done >= progress.total


def _icon(progress: Progress) -> str:
    """Ended before its time, as by an error in its loop: that is said, as what stays in a saved notebook does not move."""
    return "✓" if is_complete(progress) else "⊘" if progress.ended else "◌"


def _part(progress: Progress) -> float | None:
    """From 0 to 1; None where the total is not known."""
    if progress.total is None:
        return None
    return min(1.0, progress.done / progress.total) if progress.total else 1.0


def _count(progress: Progress) -> str:
    done, part = short_number(progress.done), _part(progress)
    if part is None:
        return done
    return f"{done}/{short_number(progress.total or 0)} ({int(part * 100)} %)"


def _one_line(text: str) -> str:
    return clip(" ".join(clean_clipped(text, LABEL_CHARS).split()), LABEL_CHARS)
