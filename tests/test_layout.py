"""Rules of the house that import-linter cannot write down because they are about every file of a folder."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import llmspell_kernel
from llmspell_kernel.engines import EngineDeclaration
from llmspell_kernel.engines._registry import built_in
from llmspell_kernel.journal import events
from llmspell_kernel.services.llm import generation

PACKAGE = Path(llmspell_kernel.__file__).parent


def test_no_bridge_imports_another() -> None:
    bridges = [path for path in (PACKAGE / "bridges").glob("*.py") if not path.stem.startswith("_")]
    assert len(bridges) >= 4
    names = {path.stem for path in bridges}
    for path in bridges:
        siblings = {
            node.module.rpartition(".")[2]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module and (node.level or "bridges" in node.module)
        }
        assert not (siblings & names - {path.stem}), f"{path.name} imports another bridge"


def test_log_and_ui_are_written_with_what_a_third_party_has() -> None:
    for name in ("log", "ui"):
        text = (PACKAGE / "bridges" / f"{name}.py").read_text()
        sources = {node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
        assert sources <= {
            "__future__",
            "typing",
            "llmspell_kernel",
            "llmspell_kernel.values",
            "llmspell_kernel.errors",
            "llmspell_kernel.shown",
        }, name


def test_every_folder_says_what_lives_in_it() -> None:
    for init in PACKAGE.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(init.read_text())), f"{init.parent.name}/__init__.py has no docstring"


def test_no_file_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "helpers", "common", "manager", "base", "core", "misc"}
    assert not [path for path in PACKAGE.rglob("*.py") if path.stem.strip("_") in empty]


def test_what_a_cell_that_never_began_is_told_is_spelt_once() -> None:
    texts = [
        node.value for path in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)
    ]
    assert [text for text in texts if isinstance(text, str) and "before it began" in text] == ["stopped before it began"]


def test_services_say_of_an_answer_without_its_end_what_readers_of_journals_look_for() -> None:
    """Services know no journal, so both have the word."""
    assert generation.INCOMPLETE == events.INCOMPLETE


DEFAULT_ENGINE = {"session/session.py", "kernel/notebook.py"}
"""Where Python code runs a script and names no language, it is this one."""


def test_no_module_outside_engines_names_an_engine() -> None:
    known = [word for engine in built_in() for word in _words(engine)]
    assert {"lua", "javascript", "js", "quickjs-ng", "llmspell-js"} <= set(known)
    named: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        home = path.relative_to(PACKAGE)
        if home.parts[0] != "engines" and (words := {word for word in _texts(path) if word.lstrip("%") in known}):
            named[str(home)] = words
    assert named == dict.fromkeys(DEFAULT_ENGINE, {"lua"})


def _words(engine: EngineDeclaration) -> Iterator[str]:
    """What only the engine's declaration may say."""
    yield from (*engine.names, engine.title, *engine.needed, *engine.needed.values(), *engine.file_endings, *engine.mime_types)
    yield from (engine.kernelspec, engine.library, engine.interpreter)


def _texts(path: Path) -> Iterator[str]:
    """The string constants of a module."""
    return (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant) and isinstance(node.value, str))
