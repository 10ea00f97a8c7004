"""Binder's steps, read from its own files, in a clean environment: what they leave can run the first notebook."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = [
    "llmspell_kernel",
    "kernelspecs",
    "binder",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "requirements-local-weights.lock",
]


def test_the_page_that_binder_opens_is_there() -> None:
    script = (ROOT / "binder" / "postBuild").read_text(encoding="utf-8")
    opened = json.loads(script.partition("echo '")[2].partition("'")[0])["LabApp"]["default_url"]
    assert (ROOT / opened.removeprefix("/lab/tree/")).is_file()


def test_binders_script_can_be_run() -> None:
    assert os.access(ROOT / "binder" / "postBuild", os.X_OK)


def test_binders_python_is_one_that_is_supported() -> None:
    name, _, version = (ROOT / "binder" / "runtime.txt").read_text(encoding="utf-8").strip().partition("-")
    assert name == "python" and (3, 11) <= tuple(int(part) for part in version.split(".")) <= (3, 14)


@pytest.mark.timeout(600)
def test_binders_steps_give_kernels_and_the_local_model(tmp_path: Path) -> None:
    checkout, venv = tmp_path / "checkout", tmp_path / "venv"
    checkout.mkdir()
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, checkout / name)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LLMSPELL_", "JUPYTER"))}
    environ |= {"PATH": f"{venv / 'bin'}:{environ['PATH']}", "HOME": str(tmp_path), "PIP_CACHE_DIR": _pip_cache()}

    def run(*command: str) -> str:
        return subprocess.run(command, cwd=checkout, env=environ, stdout=subprocess.PIPE, text=True, check=True).stdout

    run("pip", "install", "--quiet", "-r", "binder/requirements.txt")
    run("binder/postBuild")
    facts = json.loads(run("llmspell", "doctor", "--json"))
    assert facts["problems"] == []
    assert facts["default_model"]["name"] == "spell/local"
    (checkout / "spell.lua").write_text("return llm.chat('What is the capital of France?', {max_tokens = 20})", encoding="utf-8")
    assert "Paris" in json.loads(run("llmspell", "run", "spell.lua", "--json"))


def _pip_cache() -> str:
    found = subprocess.run([sys.executable, "-m", "pip", "cache", "dir"], stdout=subprocess.PIPE, text=True, check=False)
    return found.stdout.strip() or str(Path.home() / ".cache" / "pip")
