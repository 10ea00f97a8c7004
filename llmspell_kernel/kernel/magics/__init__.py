"""One file, one magic: each offers `register(shell, notebook)`, and is found by being here."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any


def register_all(shell: Any, notebook: Any) -> None:
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}").register(shell, notebook)
