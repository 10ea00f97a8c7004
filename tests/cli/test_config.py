"""`llmspell config`, `run --set` and `run -` as a user meets them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from llmspell_kernel.cli._tables import setting_table
from llmspell_kernel.configuration.rules import Entry, apply, rows
from llmspell_kernel.settings import Origin, Settings

LLMSPELL = [sys.executable, "-m", "llmspell_kernel.cli"]


class Folder:
    """A home directory with a project in it."""

    def __init__(self, path: Path) -> None:
        self.work = path / "work"
        self.work.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LLMSPELL_", "XDG_"))}
        self.environ = {**kept, "HOME": str(path)}
        self.own = path / ".config" / "llmspell" / "config.toml"
        self.own.parent.mkdir(parents=True)

    def call(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*LLMSPELL, *words], cwd=self.work, env=self.environ, input=given, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_config_names_value_and_origin_of_every_setting(folder: Folder) -> None:
    folder.own.write_text('display = "static"\n')
    (folder.work / "llmspell.toml").write_text('[limits]\neffects = 5\n[grants]\ndeny = ["llm.*"]\n')
    folder.environ["LLMSPELL_SEED"] = "7"
    done = folder.call("config", "--json")
    told = json.loads(done.stdout)
    rows = {row["key"]: (row["value"], row["origin"]) for row in told["settings"]}
    assert rows["display"] == ("static", "~/.config/llmspell/config.toml, line 1")
    assert rows["limits.effects"] == (5, "llmspell.toml, line 2")
    assert rows["grants.deny"] == (["llm.*"], "llmspell.toml, line 4")
    assert rows["seed"] == (7, "LLMSPELL_SEED")
    assert rows["preset"] == ("standard", "default")
    assert told["files"] == {"user": str(folder.own), "project": str(folder.work / "llmspell.toml")}
    shown = folder.call("config").stdout
    assert all(row["key"] in shown for row in told["settings"]) and "Your file: ~/.config/llmspell/config.toml\n" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_config_without_files_says_where_the_users_would_be(folder: Folder) -> None:
    shown = folder.call("config").stdout
    assert "Your file: ~/.config/llmspell/config.toml (not there)\nThe project's file: none\n" in shown


def test_a_wrong_file_is_one_error_of_each_command(folder: Folder) -> None:
    (folder.work / "llmspell.toml").write_text('seed = 1\ndispaly = "live"\n')
    (folder.work / "spell.lua").write_text("print('ran')")
    for words in (("config",), ("run", "spell.lua")):
        done = folder.call(*words)
        assert done.stdout == "" and done.returncode in (1, 2) and "Traceback" not in done.stderr
        assert "Error: llmspell.toml, line 2, column 1, key 'dispaly': there is no such setting; did you mean 'display'?" in done.stderr
    problems = json.loads(folder.call("doctor", "--json").stdout)["problems"]
    assert any("llmspell.toml, line 2" in problem for problem in problems)
    listed = folder.call("models", "list")
    assert listed.returncode == 0 and "llmspell.toml, line 2" in listed.stderr


def test_the_default_model_of_the_settings_is_told_with_its_origin(folder: Folder) -> None:
    folder.own.write_text('model = "spell/scripted"\n')
    told = json.loads(folder.call("models", "list", "--json").stdout)["default_model"]
    assert told == {"name": "spell/scripted", "why": "~/.config/llmspell/config.toml, line 1 says so"}


def test_a_setting_of_the_command_line_wins(folder: Folder) -> None:
    folder.own.write_text('model = "spell/scripted"\n')
    (folder.work / "spell.lua").write_text("return llm.model()")
    assert folder.call("run", "spell.lua", "--json").stdout == '"spell/scripted"\n'
    folder.environ["LLMSPELL_MODEL"] = "spell/local"
    assert folder.call("run", "spell.lua", "--json").stdout == '"spell/local"\n'
    assert folder.call("run", "spell.lua", "--json", "--set", "model=spell/echo").stdout == '"spell/echo"\n'
    denied = folder.call("run", "spell.lua", "--set", 'grants.deny=["llm.*"]')
    assert denied.returncode == 1 and "DeniedError" in denied.stderr


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("sed=1", "key 'sed': there is no such setting; did you mean 'seed'? (set by --set)"),
        ("seed=x", "key 'seed': must be a whole number, not the text 'x' (set by --set)"),
        ("seed", "--set needs KEY=VALUE, got 'seed'"),
        ("model=spell/ekko", "unknown model 'spell/ekko'; did you mean 'spell/echo'?"),
    ],
)
def test_a_wrong_setting_of_the_command_line_is_one_error(folder: Folder, pair: str, said: str) -> None:
    (folder.work / "spell.lua").write_text("print('ran')")
    done = folder.call("run", "spell.lua", "--set", pair)
    assert (done.stdout, done.returncode) == ("", 2) and said in done.stderr


def test_policy_show_names_rules_limits_and_layers_as_text_and_as_json(folder: Folder) -> None:
    (folder.work / "llmspell.toml").write_text('[limits]\neffects = 5\n[grants]\ndeny = ["llm.set_model"]\n')
    shown = folder.call("policy", "show").stdout
    assert shown.startswith("Preset standard (default)\n")
    assert any(line.split() == ["effects", "5", "llmspell.toml,", "line", "2"] for line in shown.splitlines())
    assert "deny ['llm.set_model']" in shown
    found = json.loads(folder.call("policy", "show", "--json").stdout)
    assert found["layers"].keys() == {"privileges", "landlock", "seccomp"}
    assert {"key": "limits.effects", "value": 5, "origin": "llmspell.toml, line 2"} in found["tables"]["limits"]


def test_policy_check_names_line_column_key_and_the_nearest(folder: Folder) -> None:
    file = folder.work / "llmspell.toml"
    file.write_text("seed = 1\n[limits]\n  memory = 5\n")
    wrong = folder.call("policy", "check")
    assert wrong.returncode == 1 and not wrong.stdout
    assert wrong.stderr == (
        "Error: llmspell.toml, line 3, column 3, key 'limits.memory': there is no such setting in [limits]; did you mean 'memory_bytes'?\n"
    )
    file.write_text("seed = 1\n")
    right = folder.call("policy", "check")
    assert right.returncode == 0 and "right; 1 value set, all others are the defaults." in right.stdout
    own = folder.call("policy", "check", "--own")
    assert own.returncode == 2 and "--own says whose the FILE is: name one" in own.stderr


def test_a_model_that_nobody_has_is_told_with_the_file_that_names_it(folder: Folder) -> None:
    (folder.work / "llmspell.toml").write_text('seed = 1\nmodel = "spell/ecco"\n')
    said = "llmspell.toml, line 2, column 1, key 'model': unknown model 'spell/ecco'; did you mean 'spell/echo'?"
    checked = folder.call("policy", "check")
    assert (checked.returncode, checked.stderr) == (1, f"Error: {said}\n")
    ran = folder.call("run", "-", "--engine", "lua", given="print('ran')")
    assert (ran.returncode, ran.stdout) == (2, "") and said in ran.stderr


def test_policy_check_refuses_rules_that_fit_no_call(folder: Folder) -> None:
    (folder.work / "llmspell.toml").write_text('[grants]\ndeny = ["lm.chat", "http.*", "host.sum"]\nask = ["storage"]\n')
    checked = folder.call("policy", "check")
    assert checked.returncode == 1 and "right" not in checked.stdout
    call, bridge = checked.stderr.splitlines()
    said = "Error: llmspell.toml, line 2, key 'grants.deny': 'lm.chat' fits no call of an installed bridge; did you mean 'llm.chat'"
    assert call.startswith(said)
    assert bridge == "Error: llmspell.toml, line 3, key 'grants.ask': 'storage' fits no call of an installed bridge; write 'storage.*'"


def test_a_run_tells_once_of_a_deny_that_denies_nothing_and_goes_on(folder: Folder) -> None:
    (folder.work / "llmspell.toml").write_text('[grants]\ndeny = ["llm.sett_model", "storge.*", "http.*"]\n')
    ran = folder.call("run", "--engine", "lua", "-", given="print(llm.model()); return 1")
    assert ran.returncode == 0 and ran.stdout.endswith("1\n")
    slip, bridge = ran.stderr.splitlines()
    assert slip.startswith(
        "Warning: the rule 'deny' of llmspell.toml, line 2 denies nothing: "
        "'llm.sett_model' fits no call of an installed bridge; did you mean 'llm.set_model'"
    )
    assert "'storge.*' fits no call of an installed bridge; did you mean 'storage.*'" in bridge
    narrowed = folder.call("run", "--engine", "lua", "--deny", "llm.chatt", "-", given="return 1")
    assert "'llm.chatt' fits no call of an installed bridge; did you mean 'llm.chat'" in narrowed.stderr


def test_policy_check_takes_a_file_as_a_strangers_unless_it_is_said_to_be_your_own(folder: Folder) -> None:
    file = folder.work / "theirs.toml"
    file.write_text("[limits]\neffects = 20_000\n")
    refused = folder.call("policy", "check", "theirs.toml")
    assert refused.returncode == 1 and "20_000 is looser than your own 10_000" in refused.stderr
    assert folder.call("policy", "check", "--own", "theirs.toml").returncode == 0
    missing = folder.call("policy", "check", "nothing.toml")
    assert missing.returncode == 1 and missing.stderr == "Error: nothing.toml: there is no such file\n"


@pytest.mark.parametrize("words", [["--deny", "llm.*"], ["--allow", "log.*"], ["--allow", "llm.*", "--deny", "llm.model"]])
def test_a_run_may_be_narrowed(folder: Folder, words: list[str]) -> None:
    refused = folder.call("run", "--engine", "lua", *words, "-", given="return llm.model()")
    assert refused.returncode == 1 and "DeniedError (Lua): llm.model is" in refused.stderr
    assert folder.call("run", "--engine", "lua", *words, "-", given="log.info('x')").returncode == int(
        "--allow" in words and "log.*" not in words
    )


def test_a_script_may_come_from_standard_input(folder: Folder) -> None:
    assert folder.call("run", "-", "--engine", "js", given="6 * 7").stdout == "42\n"
    folder.own.write_text('engine = "lua"\n')
    failed = folder.call("run", "-", given="local a = 1\nerror('boo')")
    assert failed.returncode == 1 and "stdin line 2" in failed.stderr and "> 2 | error('boo')" in failed.stderr


def test_a_script_from_standard_input_needs_a_language(folder: Folder) -> None:
    done = folder.call("run", "-", given="return 1")
    assert done.returncode == 2 and "language is not known; name it as in --engine lua (one of javascript, lua)" in done.stderr
    folder.own.write_text('engine = "python"\n')
    assert "not known (engine = 'python' of your settings is that of plain cells)" in folder.call("run", "-", given="return 1").stderr


def test_a_folder_and_a_module_of_no_language_are_wrong_calls(folder: Folder) -> None:
    (folder.work / "spell.lua").write_text("print('ran')")
    (folder.work / "s.json").write_text("{}")
    here = folder.call("run", ".")
    assert here.returncode == 2 and "Error: .: is a folder; name the file of a script\n" in here.stderr
    module = folder.call("run", "--module", "s.json", "spell.lua")
    assert (module.returncode, module.stdout) == (2, "") and "no engine runs 's.json'" in module.stderr


def test_no_key_is_cut_in_80_columns() -> None:
    console = Console(file=io.StringIO(), width=80)
    held = apply(
        Settings(), [Entry("grants.allow", ["llm.*", "storage.*", "http.get"], Origin("~/.config/llmspell/config.toml", 12))], engines=[]
    )
    console.print(setting_table(rows(held)))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert [row.key for row in rows(held) if not any(row.key in line.split() for line in lines)] == []


@pytest.mark.parametrize("pattern", ["agent.ask", "llm.stream.next", "memory.conv*.add", "host.sum", "tools.call.weather", "*"])
def test_a_rule_for_a_call_of_things_or_of_other_bridges_is_met(folder: Folder, pattern: str) -> None:
    (folder.work / "llmspell.toml").write_text(f'[grants]\ndeny = ["{pattern}"]\n')
    assert folder.call("policy", "check").returncode == 0
    assert folder.call("run", "--engine", "lua", "-", given="return 1").stderr == ""


def test_looking_at_rules_that_are_met_imports_no_bridge() -> None:
    code = """
import asyncio, sys
from llmspell_kernel import Session
from llmspell_kernel.settings import Settings
session = Session(settings=Settings(deny=("http.*", "llm.set_model", "agent.agent.run")))
assert session.unmet_rules() == []
assert not [name for name in sys.modules if name in ("llmspell_kernel.bridges.http", "llmspell_kernel.bridges.agent")]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
