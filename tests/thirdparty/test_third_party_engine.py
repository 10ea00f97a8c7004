"""An engine from a package of its own, found by its entry point.  That it is a full engine, the conformance suite says: it runs every case on it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
from codecs import encode
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).parent / "rot13_engine"
PUBLIC = {"msgspec", "__future__", "codecs", "collections.abc", "typing", "llmspell_kernel.engines", "llmspell_kernel.protocol.steps"}
LIBRARY = {"llmspell_kernel.engines.lua"}
"""The engine it is made of."""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """As installed: the package on the path, beside what an installer writes down of its pyproject.toml."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text("utf-8"))["project"]
    info = tmp_path / "site" / f"llmspell_rot13-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8")
    groups = [(group, points) for group, points in project["entry-points"].items()]
    text = "".join(f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items()) for group, points in groups)
    (info / "entry_points.txt").write_text(text, encoding="utf-8")
    (info.parent / "llmspell_rot13").symlink_to(PACKAGE / "llmspell_rot13")
    path = os.pathsep.join(filter(None, [str(info.parent), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "LLMSPELL_MODEL": "spell/echo"}


def llmspell(environ: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "llmspell_kernel.cli", *arguments]
    return subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, check=False)


def test_the_engine_imports_public_names_only() -> None:
    found = set()
    for file in (PACKAGE / "llmspell_rot13").glob("*.py"):
        nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
        found |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        found |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert found <= PUBLIC | LIBRARY


def test_an_installed_engine_is_listed_beside_the_others(environ: dict[str, str], tmp_path: Path) -> None:
    engines: list[dict[str, Any]] = json.loads(llmspell(environ, tmp_path, "engines", "--json").stdout)
    assert {"lua", "javascript", "rot13"} <= {engine["name"] for engine in engines}
    (own,) = (engine for engine in engines if engine["name"] == "rot13")
    assert own["magics"] == ["%%rot13", "%%ebg13"] and own["library_version"] == "1.0" and own["problem"] == ""
    assert own["features"] == {"await": False, "instruction_limit": False, "soft_interrupt": True, "compile_step": True}


def test_its_files_run_by_their_ending_with_effects_and_its_own_word_for_nothing(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "spell.rot13").write_text(encode('return llm.chat("tea"), nil', "rot13"))
    done = llmspell(environ, tmp_path, "run", "spell.rot13")
    assert done.stdout.splitlines()[-1] == "echo: tea\tavy", done.stderr


def test_its_errors_carry_its_own_name_and_its_own_text(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "spell.rot13").write_text(encode('local x = 1\nerror("spilled")', "rot13"))
    done = llmspell(environ, tmp_path, "run", "spell.rot13")
    assert done.returncode == 1
    assert "(ROT13): spilled" in done.stderr and '> 2 | reebe("fcvyyrq")' in done.stderr and "Lua" not in done.stderr
