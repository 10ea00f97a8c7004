"""Cell magics of IPython above a script cell, and cells that become modules, in real kernels."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from llmspell_kernel.journal.events import CellFinished, CellStarted
from llmspell_kernel.journal.recorder import Recorder
from llmspell_kernel.kernel.around import around

from .conftest import LANGUAGES

RETURN = {"%%lua": "print('out') return 6 * 7", "%%js": "console.log('out'); 6 * 7"}
SHOW = {"%%lua": "ui.display({1, 2})", "%%js": "await ui.display([1, 2])"}
WRONG = {"%%lua": "local x = 1\nlocal function f(\n", "%%js": "let x = 1\nlet function f( {\n"}


def test_time_tells_what_the_script_took_and_what_it_waited(client, language):
    ran = client.run(f"%%time\n{language['magic']}\n{RETURN[language['magic']]}")
    assert ran.result == "42" and ran.stream("stdout").startswith("out\nWall time: ") and "(script " in ran.stream("stdout")


def test_time_is_told_of_a_script_that_fails_too_and_the_error_is_its_own(client, language):
    ran = client.run(f"%%time\n\n{language['magic']} --state s\n{language['fail']}")
    text = "\n".join(ran.error["traceback"])
    assert "Wall time: " in ran.stream("stdout") and "on purpose" in ran.error["evalue"]
    assert "line 5" in text and "> 5 |" in text and ".py" not in text


@pytest.mark.parametrize("line", ["--nope", "--module m"])
def test_time_tells_no_other_cell_s_script_time_where_no_script_ran(client, language, line):
    magic = language["magic"]
    client.run(f"{magic}\n{RETURN[magic]}")
    told = client.run(f"%%time\n{magic} {line}\n1" if line == "--nope" else f"%%time\n{magic} {line}\n").stream("stdout")
    assert "Wall time: " in told and "script" not in told.partition("Wall time")[2]


def test_of_cells_that_run_at_the_same_time_each_is_told_its_own(capsys):
    recorder, cells = Recorder(), [7, 8]
    session = SimpleNamespace(recorder=recorder, last_cell=6)
    with around(SimpleNamespace(llmspell=SimpleNamespace(session=session)), "time", ""):
        for cell in cells:
            recorder.record(CellStarted(cell, 0.0, "lua", "main", "cell[1]", ""))
        for cell in cells:
            recorder.record(CellFinished(cell, 0.0, "ok", 1.0, script_time_s=cell * 1.0))
    assert "(script 7 s, " in capsys.readouterr().out


def test_what_is_captured_is_not_shown_and_is_a_variable(client, language):
    magic = language["magic"]
    ran = client.run(f"%%capture held\n{magic}\n{RETURN[magic]}")
    assert ran.status == "ok" and ran.result is None and ran.stream("stdout") == "" and ran.of("display_data") == []
    assert client.run("held.stdout, [output.data['text/plain'] for output in held.outputs]").result == "('out\\n', ['42'])"
    assert client.run(f"%%capture held\n{magic}\n{SHOW[magic]}").of("display_data") == []
    assert client.run("len(held.outputs)").result == "1"


def test_several_stand_above_each_other(client, language):
    magic = language["magic"]
    assert "Wall time" in client.run(f"%%time\n%%capture held\n{magic}\n{RETURN[magic]}").stream("stdout")
    assert client.run("held.stdout").result == "'out\\n'"


@pytest.mark.parametrize("name", ["timeit", "prun", "debug"])
def test_those_that_cannot_say_which_can(client, language, name):
    ran = client.run(f"%%{name}\n{language['magic']}\n{RETURN[language['magic']]}")
    assert ran.error["evalue"] == f"%%{name} cannot run a script cell; above one may stand %%time and %%capture"
    assert ran.stream("stdout") == ""


def test_python_cells_keep_them_as_they_are(client):
    ran = client.run("%%time\nx = 5\nprint(x)")
    assert "CPU times" in ran.stream("stdout") and ran.status == "ok"


def test_a_module_that_does_not_compile_names_its_line(client, language):
    magic = language["magic"]
    ran = client.run(f"{magic} --module broken\n\n{WRONG[magic]}")
    text = "\n".join(ran.error["traceback"])
    assert ran.error["ename"] == "SyntaxError" and "the module 'broken' is not registered: " in ran.error["evalue"]
    assert ("> 5 |" in text or "> 4 |" in text) and ".py" not in text, text


def test_every_language_has_code_here():
    assert {language["magic"] for language in LANGUAGES.values()} == set(RETURN) == set(SHOW) == set(WRONG)
