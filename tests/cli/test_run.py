"""`llmspell run` as a user meets it: a real process, real workers, the echo model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from llmspell_kernel.bridges.hash import Hash
from llmspell_kernel.cli.run import command

LLMSPELL = [sys.executable, "-m", "llmspell_kernel.cli"]


class Folder:
    """A folder with scripts, and `llmspell run` in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environ = {**os.environ, "LLMSPELL_MODEL": "spell/echo"}

    def start(self, name: str, code: str, *options: str) -> subprocess.Popen[str]:
        (self.path / name).write_text(code, encoding="utf-8")
        return subprocess.Popen(
            [*LLMSPELL, "run", name, *options],
            cwd=self.path,
            env=self.environ,
            text=True,
            encoding="utf-8",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, name: str, code: str, *options: str) -> subprocess.CompletedProcess[str]:
        process = self.start(name, code, *options)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_lua_script_prints_and_gives_its_value(folder: Folder) -> None:
    done = folder.run("spell.lua", "print('working') return 6 * 7")
    assert (done.stdout, done.stderr, done.returncode) == ("working\n42\n", "", 0)


@pytest.mark.parametrize(("name", "code", "shown"), [("spell.lua", "return nil, 1", "nil\t1\n"), ("spell.js", "[null, 1]", "[null, 1]\n")])
def test_nothing_is_shown_by_the_languages_own_word(folder: Folder, name: str, code: str, shown: str) -> None:
    assert folder.run(name, code).stdout == shown


def test_a_javascript_files_last_expression_is_its_value(folder: Folder) -> None:
    done = folder.run("spell.js", "console.log('working'); const n = 6; n * 7")
    assert (done.stdout, done.stderr, done.returncode) == ("working\n42\n", "", 0)


def test_a_script_without_a_value_prints_none(folder: Folder) -> None:
    assert folder.run("spell.lua", "local a = 1").stdout == ""


def test_parameters_arrive_with_their_types(folder: Folder) -> None:
    code = "return params.topic, math.type(params.count), params.tags[2], params.none"
    done = folder.run("spell.lua", code, "-p", "topic=tea", "-p", "count=3", "-p", 'tags=["a","b"]', "-p", "none=null", "--json")
    assert json.loads(done.stdout) == ["tea", "integer", "b", None]


def test_params_is_there_without_parameters(folder: Folder) -> None:
    assert folder.run("spell.lua", "return params.topic == nil", "--json").stdout == "true\n"


def test_json_is_the_last_line_and_model_text_stays_out_of_stdout(folder: Folder) -> None:
    done = folder.run("spell.lua", "print('working') local text = llm.chat('hi') return {text = text, n = 1.5}", "--json")
    assert done.stdout.splitlines()[:-1] == ["working"]
    assert json.loads(done.stdout.splitlines()[-1]) == {"text": "echo: hi", "n": 1.5}
    assert done.stderr.startswith("echo: hi\nllm.chat spell/echo ")


def test_model_text_streams_to_stdout_with_a_summary_on_stderr(folder: Folder) -> None:
    done = folder.run("spell.lua", "llm.chat('hi') return 'done'")
    assert done.stdout == "echo: hi\ndone\n"
    assert done.stderr.startswith("llm.chat spell/echo ") and len(done.stderr.splitlines()) == 1


def test_a_value_that_was_just_streamed_is_not_printed_again(folder: Folder) -> None:
    assert folder.run("spell.lua", "return llm.chat('hi')").stdout == "echo: hi\n"


def test_a_model_can_be_named(folder: Folder) -> None:
    folder.environ["LLMSPELL_MODEL"] = "spell/scripted"
    assert folder.run("spell.lua", "return llm.chat('hi')", "--model", "spell/echo").stdout == "echo: hi\n"


def test_an_unknown_model_is_one_error_before_the_script_runs(folder: Folder) -> None:
    done = folder.run("spell.lua", "print('ran')", "--model", "spell/ekko")
    assert (done.stdout, done.returncode) == ("", 2)
    assert "unknown model 'spell/ekko'; did you mean 'spell/echo'?" in done.stderr


def test_an_error_names_file_and_line_and_none_of_our_frames(folder: Folder) -> None:
    done = folder.run("spell.lua", "local a = 1\nprint('before')\nerror('too bad')\n")
    assert (done.stdout, done.returncode) == ("before\n", 1)
    assert "too bad" in done.stderr and "spell.lua line 3" in done.stderr
    assert "Traceback" not in done.stderr and ".py" not in done.stderr
    assert "\x1b" not in done.stderr


def test_a_syntax_error_is_the_scripts_error(folder: Folder) -> None:
    done = folder.run("spell.js", "let a = ;")
    assert done.returncode == 1
    assert "SyntaxError" in done.stderr and "spell.js" in done.stderr


def test_an_error_leaves_json_readers_without_a_value(folder: Folder) -> None:
    done = folder.run("spell.lua", "error('no')", "--json")
    assert (done.stdout, done.returncode) == ("", 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.lua"], "nowhere.lua: cannot read the script: No such file"),
        (["spell.txt"], "--engine"),
        (["spell.lua", "-p", "topic"], "for example: -p topic=tea"),
        (["spell.lua", "--engine", "lau"], "did you mean 'lua'"),
    ],
)
def test_a_wrong_call_is_one_clear_error(folder: Folder, arguments: list[str], said: str) -> None:
    (folder.path / "spell.lua").write_text("return 1", encoding="utf-8")
    done = subprocess.run([*LLMSPELL, "run", *arguments], cwd=folder.path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 2)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1 and said in errors[0]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("spell.lua", "print('started') while true do end"),
        ("spell.js", "console.log('started'); await sleep(0.001); while (true) {}"),
        ("sleep.lua", "print('started') sleep(600)"),
    ],
)
def test_ctrl_c_stops_the_script(folder: Folder, name: str, code: str) -> None:
    process = folder.start(name, code)
    assert process.stdout is not None and process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (out, err, process.returncode) == ("", "stopped\n", 130)


def test_a_reader_that_leaves_stops_the_script_quietly(folder: Folder) -> None:
    process = folder.start("spell.lua", "while true do print(('x'):rep(100)) end")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=30) == 141


def test_output_fits_a_terminal_that_knows_only_ascii(folder: Folder) -> None:
    folder.environ |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = folder.run("spell.lua", "return 'café'")
    assert (done.stdout, done.returncode) == ("caf\\xe9\n", 0)


def test_an_archived_quickjs_is_refused_with_the_command_that_mends_it_and_lua_runs(folder: Folder, tmp_path: Path) -> None:
    info = tmp_path / "other" / "quickjs-1.19.4.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: quickjs\nVersion: 1.19.4\n", encoding="utf-8")
    folder.environ["PYTHONPATH"] = os.pathsep.join([str(info.parent), folder.environ.get("PYTHONPATH", "")])
    assert folder.run("spell.lua", "print('ran')").stdout == "ran\n"
    done = folder.run("spell.js", "console.log('ran')")
    assert (done.stdout, done.returncode) == ("", 1)
    assert "pip uninstall -y quickjs && pip install --force-reinstall quickjs-ng" in done.stderr


def test_output_that_cannot_be_written_is_one_line(folder: Folder) -> None:
    (folder.path / "spell.lua").write_text('print("x")\nreturn 1')
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*LLMSPELL, "run", "spell.lua"], cwd=folder.path, env=folder.environ, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 141
    assert done.stderr == "cannot write to stdout: No space left on device\n"


def test_a_script_requires_a_module_file(folder: Folder) -> None:
    (folder.path / "greet.lua").write_text(
        'local M = {}\nfunction M.hi(n) return "hi " .. n end\nfunction M.bad() error("no") end\nreturn M\n'
    )
    code = 'local g = require("greet") print(g.hi("Ada")) g.bad()'
    done = folder.run("main.lua", code, "--module", "greet.lua")
    assert done.stdout == "hi Ada\n"
    assert "module[greet] line 3" in done.stderr
    assert 'function M.bad() error("no") end' in done.stderr, "the error shows the module's line"
    missing = folder.run("main.lua", code, "--module", "gone.lua")
    assert (missing.returncode, "gone.lua: cannot read" in missing.stderr) == (2, True)
    assert "llmspell run --module FILE" in folder.run("main.lua", code).stderr


@pytest.mark.parametrize(("name", "code"), [("endless.lua", "while true do end"), ("endless.js", "for (;;);")])
def test_a_limit_set_for_one_run_ends_it_and_the_error_names_it(folder: Folder, name: str, code: str) -> None:
    done = folder.run(name, code, "--set", "limits.instructions=1000000")
    assert done.returncode != 0
    assert "the cell ran more than its 1,000,000 instructions" in done.stderr


@pytest.mark.parametrize(
    ("engine", "code", "use"),
    [("lua", "function twice(n) return 2 * n end", "return twice(4)"), ("js", "globalThis.twice = n => 2 * n", "twice(4)")],
)
def test_the_init_script_of_the_language_runs_before_the_script(folder: Folder, engine: str, code: str, use: str) -> None:
    (folder.path / f"begin.{engine}").write_text(code)
    done = folder.run(f"spell.{engine}", use, "--set", f"init.{engine}=begin.{engine}")
    assert (done.stdout, done.stderr, done.returncode) == ("8\n", "", 0)


def test_a_wrong_init_script_fails_the_run_and_is_named_with_its_line(folder: Folder) -> None:
    (folder.path / "begin.lua").write_text("\nerror('no such day')")
    done = folder.run("spell.lua", "print('never')", "--set", "init.lua=begin.lua")
    assert done.returncode == 1 and done.stdout == ""
    for part in ("no such day", "begin.lua line 2", "> 2 | error('no such day')", "in the init script begin.lua"):
        assert part in done.stderr


@pytest.mark.parametrize(("name", "code"), [("spell.lua", "return 1"), ("spell.js", "1")])
@pytest.mark.parametrize("option", [("--record", "nope/x.cassette.jsonl"), ("--journal", "nope/x.journal.jsonl")])
def test_a_record_that_cannot_be_written_is_one_line_and_a_failed_command(
    folder: Folder, name: str, code: str, option: tuple[str, str]
) -> None:
    done = folder.run(name, code, *option)
    assert (done.stdout, done.returncode) == ("1\n", 74)
    assert len(done.stderr.splitlines()) == 1 and "No such file or directory" in done.stderr


def test_a_script_that_fails_beside_its_record_ends_as_a_script_that_fails(folder: Folder) -> None:
    done = folder.run("spell.lua", "error('no')", "--record", "nope/x.cassette.jsonl")
    assert done.returncode == 1 and "Traceback" not in done.stderr


def test_what_fails_at_the_end_of_a_run_is_told_in_one_line_without_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(self: Hash) -> None:
        raise RuntimeError("on purpose, with sk-secret-0123456789")

    monkeypatch.setenv("OTHER_API_KEY", "sk-secret-0123456789")
    monkeypatch.setattr(Hash, "close", fails)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spell.lua").write_text("return #hash.md5('a')")
    ran = CliRunner().invoke(command, ["spell.lua"])
    assert (ran.exit_code, ran.stdout) == (0, "32\n")
    assert "on purpose, with" in ran.stderr and "sk-secret" not in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
