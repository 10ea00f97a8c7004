"""The table of engines, from the facts of `engines/_overview.py`: 80 columns of text, and HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from .budget import Budget
from .table import grid_of, table_html, table_plain
from .text import clean

COLUMNS = 80
HEAD_LINES = 2
INDENT = "    "


def engine_bundle(engines: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """One row an engine; in the text, what is long stands below its row, so that it is read whole."""
    rows = [_row(engine) for engine in engines]
    details = [_details(engine) for engine in engines]
    whole = [{**row, **below} for row, below in zip(rows, details, strict=True)]
    return {"text/plain": _plain(rows, details), "text/html": table_html(grid_of(whole), Budget())}


def _row(engine: Mapping[str, Any]) -> dict[str, str]:
    return {
        "engine": engine["name"],
        "language": f"{engine['title']} {engine['language_version']}".strip(),
        "cells": " ".join(engine["magics"]),
        "files": " ".join(engine["file_endings"]),
    }


def _details(engine: Mapping[str, Any]) -> dict[str, str]:
    found = {
        "features": ", ".join(name for name, has in engine["features"].items() if has),
        "library": f"{engine['library']} {engine['library_version']}".strip(),
        "problem": str(engine["problem"]),
    }
    return {name: text for name, text in found.items() if text}


def _plain(rows: Sequence[Mapping[str, str]], details: Sequence[Mapping[str, str]]) -> str:
    lines = table_plain(grid_of(rows)).split("\n")
    out = lines[:HEAD_LINES]
    for line, below in zip(lines[HEAD_LINES:], details, strict=True):
        out.append(line)
        for name, text in below.items():
            out += wrap(f"{name}: {clean(text)}", COLUMNS, initial_indent=INDENT, subsequent_indent=INDENT * 2)
    return "\n".join(out)
