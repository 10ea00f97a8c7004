"""`llmspell doctor`: facts, what to mend, and no secrets."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.cli._tables import heading, pairs, show
from llmspell_kernel.cli.doctor import _layer_lines
from llmspell_kernel.policy.layers import confinement_of

LLMSPELL = [sys.executable, "-m", "llmspell_kernel.cli"]
GOOD_BRIDGE = '''
from llmspell_kernel import Bridge, Context

class Found(Bridge):
    """Does good."""

    name = "good"

    async def do(self, ctx: Context) -> None:
        """Does it."""
'''
KERNELSPECS = Path(__file__).parents[2] / "kernelspecs"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment whose only kernels are ours, by whatever way this checkout was installed."""
    jupyter = tmp_path / "jupyter"
    (jupyter / "kernels").mkdir(parents=True)
    for folder in KERNELSPECS.iterdir():
        (jupyter / "kernels" / folder.name).symlink_to(folder)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LLMSPELL_") and not name.endswith("_API_KEY")}
    return {**kept, "JUPYTER_PATH": str(jupyter), "HOME": str(tmp_path)}


def doctor(environ: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*LLMSPELL, "doctor", *options], env=environ, capture_output=True, text=True, check=False)


def facts(environ: dict[str, str]) -> dict[str, Any]:
    done = doctor(environ, "--json")
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if found["problems"] else 0)
    return found


def test_a_whole_installation_is_well(environ: dict[str, str]) -> None:
    found = facts(environ)
    assert found["problems"] == []
    assert {"lua", "javascript"} <= set(found["worker"]["engines"])
    assert {"llmspell", "llmspell-lua", "llmspell-js"} <= {spec["name"] for spec in found["kernelspecs"]}
    assert found["packages"]["lupa"] and found["packages"]["quickjs-ng"]


@pytest.mark.parametrize("preset", ["minimal", "standard", "strict"])
def test_the_layers_that_hold_a_worker_are_those_of_the_preset(environ: dict[str, str], preset: str) -> None:
    environ["LLMSPELL_PRESET"] = preset
    found = facts(environ)
    asked = confinement_of(preset)
    assert (found["confinement"]["preset"], found["confinement"]["required"]) == (preset, asked.required)
    assert found["confinement"]["layers"] == found["worker"]["layers"]
    assert tuple(found["confinement"]["layers"]) == asked.layers


def test_a_confinement_that_is_switched_off_is_said() -> None:
    assert _layer_lines({"layers": {}, "setting": "off", "preset": "standard"}) == {
        "none": "confinement = off: scripts are held by their engine and process alone"
    }
    assert _layer_lines({"layers": {"landlock": "too old", "seccomp": ""}}) == {"landlock": "missing: too old", "seccomp": "active"}


def test_in_a_pipe_each_fact_stands_on_one_line(environ: dict[str, str]) -> None:
    environ["OPENAI_API_KEY"] = environ["ANTHROPIC_API_KEY"] = environ["MISTRAL_API_KEY"] = environ["GEMINI_API_KEY"] = "x"
    done = doctor({**environ, "COLUMNS": "40"})
    assert done.returncode == 0, done.stdout
    assert "All is well." in done.stdout
    assert not re.search(r"\x1b| $", done.stdout, re.MULTILINE)
    (keys,) = [line for line in done.stdout.splitlines() if "Keys in the environment" in line]
    assert len(keys) > 80 and "OPENAI_API_KEY" in keys and "ANTHROPIC_API_KEY" in keys and "GEMINI_API_KEY" in keys


def test_a_terminal_gets_lines_of_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    show(heading("Words"), pairs({"name": "word " * 30}))
    shown = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    assert shown.count("word") == 30 and max(map(len, shown.splitlines())) <= 40


def test_keys_are_named_and_never_shown(environ: dict[str, str]) -> None:
    environ["OPENAI_API_KEY"] = "sk-very-secret"
    found = facts(environ)
    assert found["keys"] == ["OPENAI_API_KEY"]
    assert "sk-very-secret" not in json.dumps(found)
    said = doctor(environ).stdout
    assert "OPENAI_API_KEY" in said and "sk-very-secret" not in said


def test_the_default_model_comes_with_its_reason(environ: dict[str, str]) -> None:
    environ["LLMSPELL_MODEL"] = "spell/scripted"
    assert facts(environ)["default_model"] == {"name": "spell/scripted", "why": "LLMSPELL_MODEL says so"}


def test_a_key_does_not_change_the_default_model(environ: dict[str, str]) -> None:
    without = facts(environ)["default_model"]
    environ["OPENAI_API_KEY"] = "sk-very-secret"
    assert facts(environ)["default_model"] == without


def test_an_archived_quickjs_is_broken_and_the_command_mends_it(environ: dict[str, str], tmp_path: Path) -> None:
    info = tmp_path / "other" / "quickjs-1.19.4.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: quickjs\nVersion: 1.19.4\n", encoding="utf-8")
    environ["PYTHONPATH"] = os.pathsep.join([str(info.parent), environ.get("PYTHONPATH", "")])
    problems = facts(environ)["problems"]
    assert any("pip uninstall -y quickjs && pip install --force-reinstall quickjs-ng" in problem for problem in problems)


def test_every_bridge_is_listed_and_one_that_fails_is_broken_with_its_reason(environ: dict[str, str], tmp_path: Path) -> None:
    site = tmp_path / "site"
    for name, source in (("good", GOOD_BRIDGE), ("bad", "raise RuntimeError('bad day')")):
        info = site / f"{name}_spells-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-spells\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[llmspell.bridges]\n{name} = {name}_spells:Found\n", encoding="utf-8")
        (site / f"{name}_spells.py").write_text(source, encoding="utf-8")
    environ["PYTHONPATH"] = os.pathsep.join([str(site), environ.get("PYTHONPATH", "")])
    found = facts(environ)
    bridges = {bridge["name"]: bridge for bridge in found["bridges"]}
    assert {"llm", "ui", "good", "bad"} <= set(bridges)
    assert bridges["good"] == {"name": "good", "source": "good_spells", "doc": "Does good.", "problem": ""}
    told = "the bridge 'bad' does not load: bad_spells:Found (from bad-spells 1.0): RuntimeError: bad day"
    assert bridges["bad"]["problem"] == told and found["problems"] == [told]
    said = doctor(environ).stdout
    assert "Does good." in said and "RuntimeError: bad day" in said and "All is well." not in said


def test_two_bridges_of_one_name_are_broken(environ: dict[str, str], tmp_path: Path) -> None:
    info = tmp_path / "site" / "other_log-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-log\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[llmspell.bridges]\nlog = other_log:Found\n", encoding="utf-8")
    (info.parent / "other_log.py").write_text(GOOD_BRIDGE.replace('"good"', '"log"'), encoding="utf-8")
    environ["PYTHONPATH"] = os.pathsep.join([str(info.parent), environ.get("PYTHONPATH", "")])
    assert any("two bridges are called 'log'" in problem for problem in facts(environ)["problems"])


def test_a_kernel_whose_python_is_gone_is_broken(environ: dict[str, str], tmp_path: Path) -> None:
    folder = Path(environ["JUPYTER_PATH"]) / "kernels" / "old"
    folder.mkdir()
    spec = {"argv": ["/nowhere/python", "-m", "llmspell_kernel", "-f", "{connection_file}"], "display_name": "Old", "language": "lua"}
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    assert any(problem.startswith("kernel 'old': its Python /nowhere/python is gone") for problem in facts(environ)["problems"])


def test_a_default_model_that_does_not_exist_is_a_problem(environ: dict[str, str]) -> None:
    environ["LLMSPELL_MODEL"] = "spell/ecko"
    assert any("did you mean" in problem and "LLMSPELL_MODEL" in problem for problem in facts(environ)["problems"])


def test_each_mcp_server_is_listed_with_what_would_keep_it_from_starting_and_no_value(environ: dict[str, str]) -> None:
    own = Path(environ["HOME"]) / ".config" / "llmspell" / "config.toml"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(
        """
[secrets]
token = { env = "SHOP_TOKEN", hosts = ["shop.example.com"] }
[mcp]
fine = { command = ["sh", "-c", "exit"] }
gone = { command = ["no-such-program"], env = ["NO_SUCH_VARIABLE"] }
bound = { url = "https://shop.example.com/mcp", auth = "token" }
astray = { url = "https://elsewhere.example.com/mcp", auth = "token" }
nameless = { url = "https://shop.example.com/mcp", auth = "tokken" }
"""
    )
    environ = {name: value for name, value in environ.items() if name != "XDG_CONFIG_HOME"} | {"SHOP_TOKEN": "sesame-7431"}
    done = doctor(environ, "--json")
    servers = {server["name"]: server["problem"] for server in json.loads(done.stdout)["mcp"]}
    assert servers["fine"] == servers["bound"] == ""
    assert "there is no program 'no-such-program'" in servers["gone"] and "NO_SUCH_VARIABLE" in servers["gone"]
    assert "elsewhere.example.com" in servers["astray"]
    assert "tokken" in servers["nameless"]
    shown = doctor(environ)
    assert shown.returncode == done.returncode == 1 and "All is well" not in shown.stdout
    assert "the MCP server 'gone' cannot start" in shown.stdout
    assert "sesame-7431" not in done.stdout + shown.stdout
