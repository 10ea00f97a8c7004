"""Cells in real kernels, as a front end sees them: the plain kernel and a stock ipykernel with the extension, both languages."""

from __future__ import annotations

import time

import psutil
import pytest

from .conftest import LANGUAGES, Client


def cell(language, name, options="", **values):
    code = language[name]
    for key, value in values.items():
        code = code.replace(f"{{{key}}}", str(value))
    return f"{language['magic']} {options}\n{code}"


def test_state_lives_from_cell_to_cell_and_another_state_is_another_world(client, language):
    first = int(client.run(cell(language, "count")).result)
    assert client.run(cell(language, "count")).result == str(first + 1)
    assert client.run(cell(language, "count", "--state elsewhere")).result == "1" or first > 1


def test_python_variables_go_in_and_come_out(client, language):
    client.run("rows = [{'a': 40}, {'a': 1}]")
    assert client.run(cell(language, "rows", "--in rows")).result == "42"
    assert client.run(cell(language, "give", "--out out")).status == "ok"
    assert client.run("out").result == "[[1, 2], [3]]"


def test_an_error_shows_the_cell_its_line_and_none_of_our_frames(client, language):
    ran = client.run(cell(language, "fail"))
    text = "\n".join(ran.error["traceback"])
    assert ran.status == "error" and "on purpose" in ran.error["evalue"]
    assert "line 3" in text and "> 3 |" in text and "cell[" in text
    assert ".py" not in text and "Traceback" not in text


def test_a_streamed_answer_is_shown_once_and_is_the_value_of_underscore(client, language):
    ran = client.run(cell(language, "stream"))
    (shown,) = ran.of("display_data")
    assert shown["data"]["text/plain"].strip() == "echo: one two three four" and ran.result is None
    assert client.run("_").result == "'echo: one two three four'"


def test_every_printed_line_arrives_before_idle(client, language):
    ran = client.run(cell(language, "print", n=10_000))
    assert ran.stream("stdout").splitlines() == [f"line {number}" for number in range(1, 10_001)]


@pytest.mark.parametrize("what, limit_s", [("loop", 0.3), ("sleep", 0.1)])
def test_the_stop_button_stops_it_and_the_state_is_still_there(client, language, what, limit_s):
    before = int(client.run(cell(language, "count")).result)
    request = client.send(cell(language, what))
    client.wait_until("stream", request)
    asked = time.perf_counter()
    client.manager.interrupt_kernel()
    ran = client.wait(request)
    assert ran.reply["ename"] == "KeyboardInterrupt"
    # three times the bar: a busy test machine is not the measurement, `make bench` is
    assert time.perf_counter() - asked < 3 * limit_s
    assert client.run(cell(language, "count")).result == str(before + 1)


@pytest.mark.parametrize("what", ["loop", "sleep"])
def test_a_stop_before_the_script_has_begun_is_a_stop_too(own_client, language, what):
    client = own_client
    before = int(client.run(cell(language, "count")).result)
    request = client.send(cell(language, what))
    client.wait_until("execute_input", request)
    client.manager.interrupt_kernel()
    ran = client.wait(request)
    assert ran.status == "error" and ran.reply["ename"] == "KeyboardInterrupt"
    assert client.run(cell(language, "count")).result == str(before + 1)


@pytest.mark.parametrize(
    "line, told",
    [
        ("--stat b", "did you mean '--state'"),
        ("--in nosuch", "there is no Python variable 'nosuch'"),
        ("--in", "needs a name after it"),
        ("--in a-b", "not a variable's name"),
        ("--state 'x", "No closing quotation"),
    ],
)
def test_a_wrong_option_is_one_clear_error_and_the_session_goes_on(client, language, line, told):
    ran = client.run(f"{language['magic']} {line}\n1")
    assert ran.status == "error" and told in ran.error["evalue"]
    assert client.run(cell(language, "count")).status == "ok"


def test_a_python_value_that_cannot_cross_names_itself(client, language):
    client.run("thing = [1, {'when': object()}]")
    assert "thing" in client.run(f"{language['magic']} --in thing\n1").error["evalue"]


def test_unknown_names_are_answered_with_the_nearest(client, language):
    code = "llm.chatt('x')"
    assert "did you mean 'chat'" in client.run(f"{language['magic']}\n{code}").error["evalue"]


@pytest.mark.parametrize("cells", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_unpaced_cells_get_one_reply_and_one_idle_each_in_order(environment, cells):
    started = Client("llmspell-lua")
    try:
        requests = [started.send("x = 1") for _ in range(cells)]
        known = set(requests)
        idles, replies = [], []
        while len(idles) < len(requests):
            message = started.channels.get_iopub_msg(timeout=60)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                idles += {message["parent_header"].get("msg_id")} & known
        while len(replies) < len(requests):
            replies += {started.channels.get_shell_msg(timeout=60)["parent_header"]["msg_id"]} & known
        assert idles == replies == requests
    finally:
        started.close()


def test_completion_in_a_script_cell_offers_the_scripts_names_only(client, language):
    client.run(f"{language['magic']}\nzebra_count = 1")
    text = f"{language['magic']}\nzebra_"
    matches = client.complete(text)
    assert matches == ["zebra_count"]
    method = "llm.set_m" if language["magic"] == "%%lua" else "llm.setM"
    assert client.complete(f"{language['magic']}\nlocal_value = {method}") == ["set_model" if language["magic"] == "%%lua" else "setModel"]


def test_completion_and_help_are_about_the_state_that_the_cell_names(client, language):
    client.run(f"{language['magic']} --state aside\nyak_count = 1")
    assert client.complete(f"{language['magic']} --state aside\nyak_") == ["yak_count"]
    assert client.complete(f"{language['magic']}\nyak_") == []


def test_help_is_about_the_state_that_the_cell_names(own_client, language):
    client = own_client
    client.run(f"{language['magic']} --state aside\nyak_size = 1")
    for options, found in (("--state aside", True), ("", False), ("--wrong", False)):
        code = f"{language['magic']} {options}\nyak_size"
        request = client.channels.inspect(code, len(code))
        while (reply := client.channels.get_shell_msg(timeout=30))["parent_header"].get("msg_id") != request:
            pass
        assert reply["content"]["found"] is found


@pytest.mark.parametrize("state", ["main", "other"])
def test_a_reset_state_is_new_in_the_next_cell_and_the_others_stay(client, language, state):
    engine = language["magic"].strip("%")
    for name in ("main", "other"):
        client.run(cell(language, "count", f"--state {name}"))
    kept = {"main": "other", "other": "main"}[state]
    before = int(client.run(cell(language, "count", f"--state {kept}")).result)
    ran = client.run(f"%llmspell reset {engine} {state}\n%llmspell states")
    assert f"'{state}' is gone" in ran.stream("stdout") and ran.status == "ok"
    shown = [line for line in ran.stream("stdout").splitlines() if f"'{state}'" in line and "is gone" not in line]
    assert not [line for line in shown if line.split()[0] == ("lua" if engine == "lua" else "javascript")]
    assert client.run(cell(language, "count", f"--state {state}")).result == "1"
    assert client.run(cell(language, "count", f"--state {kept}")).result == str(before + 1)


@pytest.mark.parametrize("how", ["%llmspell reset lua mian", "await llmspell.reset('mian')"])
def test_a_reset_of_an_unknown_state_names_the_nearest_by_either_way(client, how):
    client.run("%%lua\nn = 1")
    assert "there is no lua state 'mian'; did you mean 'main'?" in client.run(how).error["evalue"]


def test_a_reset_ends_the_worker_of_the_state(client):
    client.run("%%lua --state doomed\nn = 1")
    ask = "len(llmspell.session.worker_pids), [name for name, *_ in llmspell.states].count('doomed')"
    before = int(client.run(ask).result.strip("()").split(",")[0])
    client.run("%llmspell reset lua doomed")
    assert client.run(ask).result == f"({before - 1}, 0)"


def test_scripts_run_from_python_are_told_apart_in_errors(client):
    client.run("await llmspell.run('function f()\\n  error(\"deep\") -- first\\nend')")
    client.run("await llmspell.run('-- the second source\\nreturn 1')")
    text = "\n".join(client.run("await llmspell.run('-- the third\\n\\nreturn f()')").error["traceback"])
    assert "-- first" in text and "second source" not in text and "python[" in text


def test_an_output_that_the_script_never_set_is_one_clear_error_and_nothing_else_is_lost(client, language):
    client.run("fine = result = None")
    code = {"%%lua": "result = 1\nfine = 2\nreturn 'shown'", "%%js": "var result = 1, fine = 2\n'shown'"}[language["magic"]]
    ran = client.run(f"{language['magic']} --state outputs --out fine,resutl,result\n{code}")
    assert ran.error["evalue"] == "--out resutl: the script has no global 'resutl'; did you mean 'result'?"
    assert ran.result == "shown"
    assert client.run("fine, result").result == "(2, 1)"


def test_an_output_that_cannot_cross_leaves_the_others(client, language):
    code = {"%%lua": "f = {1, a = 2}\nfine = 3", "%%js": "function f() {}\nvar fine = 3"}[language["magic"]]
    ran = client.run(f"{language['magic']} --state outputs --out f,fine\n{code}")
    assert ran.error["evalue"].startswith("--out f: ") and client.run("fine").result == "3"


def test_a_progress_bar_is_one_output_in_static_mode(client, language):
    ran = client.run(cell(language, "bar"))
    assert [content["data"]["text/plain"] for content in ran.of("display_data")] == ["✓ L 9/9 (100 %)"]
    assert ran.of("update_display_data") == []


def test_a_live_progress_bar_is_replaced_in_its_place(environment):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMSPELL_DISPLAY", "live")
        started = Client("llmspell")
    try:
        ran = started.run(cell(LANGUAGES["lua"], "bar"))
        assert [content["data"]["text/plain"] for content in ran.of("display_data")] == ["◌ L 0/9 (0 %)"]
        updates = ran.of("update_display_data")
        assert updates[-1]["data"]["text/plain"] == "✓ L 9/9 (100 %)" and len(updates) < 9
        (shown,) = {content["transient"]["display_id"] for content in [*ran.of("display_data"), *updates]}
        assert shown.startswith("llmspell-")
    finally:
        started.close()


@pytest.mark.parametrize("kills", [3, pytest.param(200, marks=pytest.mark.slow)])
def test_every_killed_worker_gives_one_typed_error_and_the_next_cell_answers(environment, kills):
    started = Client("llmspell")
    try:
        counted = {}
        for round_number in range(kills):
            name = "lua" if round_number % 2 else "javascript"
            language = LANGUAGES[name]
            started.run(cell(language, "count"))
            request = started.send(cell(language, "loop"))
            started.wait_until("stream", request)
            # by any route: the author's own Python may kill what it likes, here from another process
            for pid in psutil.Process(started.pid).children():
                if "llmspell_kernel.workers.child" in " ".join(pid.cmdline()):
                    pid.kill()
            ran = started.wait(request)
            assert ran.reply["ename"] == "WorkerLost" and "SIGKILL" in ran.reply["evalue"]
            again = started.run(cell(language, "count"))
            # the state is restored: its count goes on where it was
            counted[name] = counted.get(name, 0) + 2
            assert again.result == str(counted[name]) and again.seconds < 2
    finally:
        started.close()
