"""The tools that come with the package, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from .run_script import run_script
from .tool import BuiltIn

_FOLDER = f"{__package__}.built_in"


@cache
def built_ins(languages: tuple[str, ...] = ()) -> Mapping[str, BuiltIn]:
    """`languages` are those that scripts of models may be written in."""
    found: Sequence[BuiltIn] = import_module(_FOLDER).BUILT_INS if find_spec(_FOLDER) is not None else ()
    return {tool.spec.name: tool for tool in (*found, run_script(languages))}
