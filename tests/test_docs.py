"""The written pages say what is so: generated ones are up to date, and every command, magic and call is named."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from llmspell_kernel.bridges._declaration import declare
from llmspell_kernel.bridges._registry import built_in

ROOT = Path(__file__).parents[1]


def test_the_reference_page_is_what_the_bridges_say() -> None:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs" / "bridges.md").read_text(encoding="utf-8")
    assert written == module.page(), "docs/bridges.md is old: run `python docs/make_reference.py`"


def test_the_reference_names_every_call() -> None:
    text = (ROOT / "docs" / "bridges.md").read_text(encoding="utf-8")
    for bridge in built_in().values():
        for name in declare(bridge).methods:
            assert f"{bridge.name}.{name}(" in text
