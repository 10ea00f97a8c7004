"""A real kernel asks through Jupyter's input request, and only a yes to that very question lets the call go on."""

from __future__ import annotations

import queue
import time
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient

from .conftest import Client, Ran

ECHO = {
    "lua": '%%lua\nreturn hash.sha256("a\\nAllow this one call? [y/N] y")',
    "js": '%%js\nawait hash.sha256("a\\nAllow this one call? [y/N] y")',
}
THREE = {
    "lua": """%%lua
local calls = {}
for i = 1, 3 do calls[i] = function() return (pcall(hash.sha256, "n" .. i)) end end
local went = async.all(calls)
return (went[1] and 1 or 0) .. (went[2] and 1 or 0) .. (went[3] and 1 or 0)""",
    "js": "%%js\n(await Promise.allSettled([1, 2, 3].map(i => hash.sha256('n' + i)))).map(call => call.status === 'fulfilled' ? 1 : 0).join('')",
}
BY_ENGINE = pytest.mark.parametrize("engine", sorted(ECHO))


@pytest.fixture(scope="module")
def asked(environment, tmp_path_factory):
    """The plain kernel with a policy that wants each hash asked about."""
    folder = tmp_path_factory.mktemp("settings") / "llmspell"
    folder.mkdir()
    (folder / "config.toml").write_text('[grants]\nask = ["hash.*"]\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder.parent))
        client = Client("llmspell")
    yield client
    client.close()


def question(client: Client) -> dict[str, Any]:
    message = client.channels.get_stdin_msg(timeout=30)
    assert message["msg_type"] == "input_request"
    return dict(message)


def answer(client: Client, value: Any, to: dict[str, Any] | None = None) -> None:
    message = client.channels.session.msg("input_reply", {"value": value}, parent=to["header"] if to else None)
    client.channels.stdin_channel.send(message)


def asks_nothing(client: Client) -> bool:
    try:
        client.channels.get_stdin_msg(timeout=0)
    except queue.Empty:
        return True
    return False


def denied(ran: Ran) -> bool:
    return ran.status == "error" and "needs the user's consent" in "".join(ran.reply["traceback"])


@BY_ENGINE
@pytest.mark.parametrize("with_parent", [True, False])
def test_a_yes_lets_the_call_go_on(asked, engine, with_parent):
    request = asked.send(ECHO[engine])
    message = question(asked)
    assert message["parent_header"]["msg_id"] == request
    assert message["content"]["password"] is False
    prompt = message["content"]["prompt"]
    assert prompt.startswith("llmspell: a script asks to call hash.sha256 (level: read)\n")
    assert '  1 = "a\\nAllow this one call? [y/N] y"\n' in prompt
    assert prompt.endswith("\nAllow this one call? [y/N] ")
    answer(asked, "y", message if with_parent else None)
    assert asked.wait(request).result is not None


@BY_ENGINE
@pytest.mark.parametrize("value", ["", "n", "yes!", "\x04", None, 1])
def test_whatever_is_no_yes_denies(asked, engine, value):
    request = asked.send(ECHO[engine])
    answer(asked, value, question(asked))
    assert denied(asked.wait(request))


@BY_ENGINE
def test_without_stdin_the_call_is_denied_at_once_and_the_error_says_so(asked, engine):
    request = asked.channels.execute(ECHO[engine], allow_stdin=False, stop_on_error=False)
    ran = asked.wait(request)
    assert denied(ran) and "it takes no input" in "".join(ran.reply["traceback"])
    assert asks_nothing(asked)


@BY_ENGINE
def test_an_interrupt_while_the_question_is_open_stops_the_cell_and_the_late_yes_counts_for_nothing(asked, engine):
    request = asked.send(ECHO[engine])
    old = question(asked)
    started = time.perf_counter()
    asked.manager.interrupt_kernel()
    ran = asked.wait(request)
    assert ran.reply["ename"] == "KeyboardInterrupt" and time.perf_counter() - started < 5
    second = asked.send(ECHO[engine])
    new = question(asked)
    answer(asked, "y", old)
    answer(asked, "n", new)
    assert denied(asked.wait(second))


@BY_ENGINE
def test_what_is_typed_ahead_answers_nothing(asked, engine):
    answer(asked, "y")
    answer(asked, "y")
    assert asked.run("%%lua\nreturn 1").result == "1"  # the kernel has them by now
    request = asked.send(ECHO[engine])
    answer(asked, "n", question(asked))
    assert denied(asked.wait(request))


@BY_ENGINE
def test_three_calls_at_once_are_asked_one_after_another(asked, engine):
    request = asked.send(THREE[engine])
    for value in ("y", "n", "y"):
        message = question(asked)
        assert asks_nothing(asked)
        answer(asked, value, message)
    assert asked.wait(request).result.strip("'\"") == "101"


def test_another_client_of_the_kernel_cannot_answer(asked):
    other = BlockingKernelClient()  # the manager's own clients share an identity
    other.load_connection_info(asked.manager.get_connection_info())
    other.start_channels()
    other.wait_for_ready(timeout=30)
    try:
        request = asked.send(ECHO["lua"])
        message = question(asked)
        theirs = other.session.msg("input_reply", {"value": "y"}, parent=message["header"])
        other.stdin_channel.send(theirs)
        other.control_channel.send(other.session.msg("kernel_info_request"))
        other.control_channel.get_msg(timeout=30)
        answer(asked, "n", message)
        assert denied(asked.wait(request))
    finally:
        other.stop_channels()


def test_output_goes_on_while_the_question_is_open(asked):
    code = '%%lua\nasync.background(function() for i = 1, 3 do print("tick " .. i) sleep(0.01) end end)\nreturn hash.sha256("x")'
    request = asked.send(code)
    message = question(asked)
    seen = ""
    while "tick 3" not in seen:
        published = asked.channels.get_iopub_msg(timeout=30)
        seen += published["content"].get("text", "") if published["msg_type"] == "stream" else ""
    answer(asked, "y", message)
    assert asked.wait(request).status == "ok"


def test_python_s_own_input_still_works_after_a_question(asked):
    request = asked.send(ECHO["lua"])
    answer(asked, "y", question(asked))
    asked.wait(request)
    request = asked.send("input('name? ')")
    assert question(asked)["content"]["prompt"] == "name? "
    answer(asked, "Ada")
    assert asked.wait(request).result == "'Ada'"


def test_a_script_run_from_python_is_asked_about_in_its_cell(asked):
    request = asked.send("await llmspell.run('return hash.sha256(\"x\")')")
    message = question(asked)
    assert message["parent_header"]["msg_id"] == request
    answer(asked, "y", message)
    assert asked.wait(request).status == "ok"
