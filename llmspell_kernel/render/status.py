"""The table of states and their workers, from the plain data of `session/status.py`: aligned text, and HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..amounts import in_units
from .budget import Budget
from .table import grid_of, table_html, table_plain
from .text import clean, escape, plural

NO_STATES = "There are no script states yet."
_MINUTE_S, _HOUR_S = 60, 3600
SIDE_BY_SIDE = 3
"""So many states stand beside each other, with a line for each figure: twelve figures in one line are wider than a screen."""


def status_bundle(status: Mapping[str, Any]) -> dict[str, str]:
    """Each state's figures against what they may be; below, the workers all together and the layers around them."""
    rows = [_row(state) for state in status["states"]]
    grid = grid_of(rows if len(rows) > SIDE_BY_SIDE else _turned(rows))
    notes = [_pool_note(status["pool"]), *_layer_notes(status["states"])]
    if not status["states"]:
        plain, html = NO_STATES, f"<div>{NO_STATES}</div>"
    else:
        plain, html = table_plain(grid), table_html(grid, Budget())
    below = "".join(f'<div style="margin:2px 0">{escape(note)}</div>' for note in notes)
    return {"text/plain": "\n".join([plain, *notes]), "text/html": html + below}


def _turned(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    figures = dict.fromkeys(figure for row in rows for figure in row if figure != "state")
    return [{"state": figure, **{row["state"]: _cell(row.get(figure)) for row in rows}} for figure in figures]


def _cell(figure: Any) -> str:
    return "" if figure is None else str(figure)  # numbers among texts: all on the left


def _row(state: Mapping[str, Any]) -> dict[str, Any]:
    counted = {"instructions": _of(_count(state["instructions"]), _count(state["instructions_limit"]))} if state["instructions"] else {}
    return {
        "state": f"{state['engine']} '{state['state']}'",
        "phase": state["phase"],
        "memory": _of(_bytes(state["memory_bytes"]), _bytes(state["memory_limit"])),
        "CPU": _seconds(state["cpu_s"]),
        "script time": _of(_seconds(state["script_time_s"]), _seconds(state["script_time_limit"])),
        **counted,
        "effects": _of(_count(state["effects"]), _count(state["effects_limit"])),
        "output": _of(_bytes(state["output_bytes"]), _bytes(state["output_limit"])),
        "cells": state["cells"],
        "recycles": state["recycles"],
        "age": _age(state["age_s"]),
        "pid": state["pid"],
    }


def _pool_note(pool: Mapping[str, Any]) -> str:
    told = [
        f"{plural(pool['workers'], 'worker')} and {plural(pool['spares'], 'spare')} of at most {pool['most']}",
        f"{_bytes(pool['memory_bytes'])} of memory in all",
    ]
    told += [f"{plural(pool['waiting'], 'state')} waiting"] if pool["waiting"] else []
    told += [f"{pool['drained']} drained"] if pool["drained"] else []
    return ", ".join(told)


def _layer_notes(states: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which layers hold the workers; states that differ are told apart."""
    by_text: dict[str, list[str]] = {}
    for state in states:
        if state["pid"] is not None:
            by_text.setdefault(_layers(state["layers"]), []).append(f"{state['engine']} '{state['state']}'")
    if len(by_text) < 2:
        return [f"layers: {text}" for text in by_text]
    return [f"layers of {', '.join(names)}: {text}" for text, names in by_text.items()]


def _layers(layers: Mapping[str, str]) -> str:
    if not layers:
        return "those of the language and the process alone"
    held = [name for name, missing in layers.items() if not missing]
    lacking = [f"{name} is missing ({clean(why)})" for name, why in layers.items() if why]
    return ", ".join([*held, *lacking])


def _of(used: str, limit: str) -> str:
    return f"{used} of {limit}" if used else ""


def _count(number: int) -> str:
    return f"{number:,}"


def _bytes(number: float | None) -> str:
    if number is None:
        return ""
    value, unit = in_units(number)
    return f"{value:.0f} {unit}" if value >= 10 or value == int(value) else f"{value:.1f} {unit}"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f} ms" if 0 < seconds < 1 else f"{seconds:.3g} s" if seconds < 100 else f"{seconds:,.0f} s"


def _age(seconds: float) -> str:
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    return f"{seconds / _MINUTE_S:.0f} min" if seconds < _HOUR_S else f"{seconds / _HOUR_S:.1f} h"
