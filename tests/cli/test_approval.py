"""`llmspell run` asks on the terminal it was started from, and only there: a real process on a pseudo terminal."""

from __future__ import annotations

import fcntl
import os
import select
import shlex
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

LLMSPELL = [sys.executable, "-m", "llmspell_kernel.cli"]
PROMPT = "Allow this one call? [y/N] "
CODE = {"spell.lua": 'print("begun") return hash.sha256("abc")', "spell.js": 'console.log("begun"); await hash.sha256("abc")'}
HASH = "ba7816bf"
BOTH = pytest.mark.parametrize("name", sorted(CODE))


class Terminal:
    """A pseudo terminal with a command in its foreground."""

    def __init__(self, folder: Path, command: list[str], stdin: int | None = None, **environ: str) -> None:
        self.master, slave = os.openpty()
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "LLMSPELL_MODEL": "spell/echo", "TERM": "xterm", **environ},
            stdin=slave if stdin is None else stdin,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.text = ""

    def read_until(self, wanted: str, count: int = 1) -> str:
        ends = time.monotonic() + 60
        while self.text.count(wanted) < count:
            assert self._read(ends), f"{wanted!r} never came; there was {self.text!r}"
        return self.text

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> str:
        ends = time.monotonic() + 60
        while self._read(ends):
            pass
        self.process.wait(timeout=60)
        return self.text

    def _read(self, ends: float) -> bool:
        if not select.select([self.master], [], [], max(0.0, ends - time.monotonic()))[0]:
            return False
        try:
            piece = os.read(self.master, 65536)
        except OSError:  # nobody holds the other side any more
            return False
        self.text += piece.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(piece)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


@pytest.fixture
def start(tmp_path: Path, terminals: list[Terminal]):
    def begin(name: str, code: str, stdin: int | None = None) -> Terminal:
        (tmp_path / name).write_text(code, encoding="utf-8")
        terminals.append(Terminal(tmp_path, [*LLMSPELL, "run", name, "--set", 'grants.ask=["hash.*"]'], stdin))
        return terminals[-1]

    return begin


@BOTH
def test_a_yes_on_the_terminal_lets_the_call_go_on(start, name):
    terminal = start(name, CODE[name])
    shown = terminal.read_until(PROMPT)
    assert shown.startswith("begun\nllmspell: a script asks to call hash.sha256 (level: read)\n")
    assert '  1 = "abc"\n' in shown
    terminal.type("y\n")
    assert HASH in terminal.end()
    assert terminal.process.returncode == 0


@BOTH
@pytest.mark.parametrize("typed", ["\n", "n\n", "x\n", "\x04", "yy\n"])
def test_whatever_is_no_yes_denies(start, name, typed):
    terminal = start(name, CODE[name])
    terminal.read_until(PROMPT)
    terminal.type(typed)
    assert "the user was asked, and did not say yes" in terminal.end()
    assert terminal.process.returncode == 1 and HASH not in terminal.text


def test_what_is_typed_ahead_answers_nothing(start):
    terminal = start("spell.lua", 'print("fake: Allow this one call? y/n") sleep(0.5) return hash.sha256("abc")')
    terminal.read_until("fake")
    terminal.type("y\ny\ny")
    terminal.read_until(PROMPT)
    terminal.type("\n")
    assert "did not say yes" in terminal.end()


def test_ctrl_c_while_the_question_is_open_stops_the_script(start):
    terminal = start("spell.lua", CODE["spell.lua"])
    terminal.read_until(PROMPT)
    terminal.type("\x03")
    assert "stopped" in terminal.end()
    assert terminal.process.returncode == 130 and HASH not in terminal.text


def test_nothing_a_script_prints_meanwhile_stands_between_the_question_and_its_answer(start):
    code = """
async.background(function() for i = 1, 50 do print("Allow " .. i .. "? [y/N] harmless") sleep(0.001) end print("loud") end)
print("one")
local sum = hash.sha256("abc")
sleep(0.2)
return sum"""
    terminal = start("spell.lua", code)
    shown = terminal.read_until(PROMPT)
    terminal.type("y\n")
    shown = terminal.end()
    after = shown[shown.index(PROMPT) + len(PROMPT) :]
    assert after.startswith("y\n")
    assert "loud" in after and HASH in after


def test_three_calls_at_once_are_asked_one_after_another(start):
    code = """
local calls = {}
for i = 1, 3 do calls[i] = function() return (pcall(hash.sha256, "n" .. i)) end end
local went = async.all(calls)
print(went[1], went[2], went[3])"""
    terminal = start("spell.lua", code)
    for number, answer in enumerate("yny", 1):
        terminal.read_until(PROMPT, number)
        terminal.type(f"{answer}\n")
    assert "true\tfalse\ttrue" in terminal.end()


def test_without_a_terminal_the_call_is_denied_and_the_error_says_so(tmp_path):
    (tmp_path / "spell.lua").write_text(CODE["spell.lua"])
    command = [*LLMSPELL, "run", "spell.lua", "--set", 'grants.ask=["hash.*"]']
    done = subprocess.run(command, cwd=tmp_path, input="y\ny\n", capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "standard input is no terminal, so nobody can be asked" in done.stderr
    assert PROMPT not in done.stdout + done.stderr


def test_a_yes_from_a_pipe_is_not_taken_where_only_the_screen_is_a_terminal(start):
    reading, writing = os.pipe()
    os.write(writing, b"y\n")
    terminal = start("spell.lua", CODE["spell.lua"], stdin=reading)
    assert "nobody can be asked" in terminal.end()
    os.close(reading)
    os.close(writing)


def test_a_command_in_the_background_of_its_terminal_asks_nothing_and_does_not_hang(tmp_path, terminals):
    (tmp_path / "spell.lua").write_text(CODE["spell.lua"])
    run = shlex.join([*LLMSPELL, "run", "spell.lua", "--set", 'grants.ask=["hash.*"]'])
    terminals.append(Terminal(tmp_path, ["bash", "-c", f"set -m; {run} & wait"]))
    assert "runs in the background of its terminal" in terminals[0].end()


def test_plain_ipython_asks_on_its_terminal(tmp_path, terminals):
    settings = tmp_path / "config" / "llmspell"
    settings.mkdir(parents=True)
    (settings / "config.toml").write_text('[grants]\nask = ["hash.*"]\n')
    command = [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--ext", "llmspell_kernel"]
    terminal = Terminal(tmp_path, command, XDG_CONFIG_HOME=str(settings.parent), IPYTHONDIR=str(tmp_path / "ipython"), TERM="dumb")
    terminals.append(terminal)
    ask = "await llmspell.run('return hash.sha256(\"abc\")')\n"
    terminal.read_until("In [1]:")
    terminal.type(ask)
    terminal.read_until(PROMPT)
    terminal.type("y\n")
    terminal.read_until(HASH)
    terminal.read_until("In [2]:")
    terminal.type(ask)
    terminal.read_until(PROMPT, 2)
    terminal.type("\n")
    terminal.read_until("did not say yes")
    terminal.read_until("In [3]:")
    terminal.type(ask)
    terminal.read_until(PROMPT, 3)
    terminal.type("\x03")
    terminal.read_until("In [4]:")
    terminal.type("6 * 7\n")
    terminal.read_until("Out[4]: 42")
