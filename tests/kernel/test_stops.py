"""A stop reaches the script it was meant for, from every side it can come, and no other."""

from __future__ import annotations

import time

import pytest

from .conftest import Client

QUICK_S = 5.0
"""Far below the 30 s that the stopped cells would sleep."""


@pytest.fixture(scope="module")
def live_client():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMSPELL_MODEL", "spell/echo")
        patch.setenv("LLMSPELL_DISPLAY", "live")
        client = Client("llmspell")
        yield client
        client.close()


@pytest.fixture(scope="module")
def lua_client(environment):
    client = Client("llmspell-lua")
    yield client
    client.close()


def new_subshell(client: Client) -> str:
    control = client.channels.control_channel
    control.send(client.channels.session.msg("create_subshell_request"))
    while True:
        reply = control.get_msg(timeout=30)
        if reply["msg_type"] == "create_subshell_reply":
            return str(reply["content"]["subshell_id"])


def press_stop(client: Client, model_id: str, subshell: str | None) -> None:
    message = client.channels.session.msg("comm_msg", {"comm_id": model_id, "data": {"method": "custom", "content": {"stop": True}}})
    if subshell is not None:
        message["header"]["subshell_id"] = subshell
    client.channels.shell_channel.send(message)


@pytest.mark.parametrize("over", ["main shell", "subshell"])
@pytest.mark.parametrize("engine, code", [("lua", 'llm.chat("hi") sleep(30)'), ("js", 'await llm.chat("hi"); await sleep(30)')])
def test_the_live_views_stop_button_acts_at_once_over_either_shell(live_client, over, engine, code):
    client = live_client
    subshell = new_subshell(client) if over == "subshell" else None
    assert client.run(f"%%{engine}\nkept = 1").status == "ok"
    request = client.send(f"%%{engine}\n{code}")
    data = client.wait_for("display_data")["data"]
    started = time.perf_counter()
    press_stop(client, data["application/vnd.jupyter.widget-view+json"]["model_id"], subshell)
    ran = client.wait(request)
    assert ran.reply["ename"] == "KeyboardInterrupt" and time.perf_counter() - started < QUICK_S
    assert client.run(f"%%{engine}\nkept").result == "1"


@pytest.mark.parametrize("next_cell", ["%%lua\n'second'", "await llmspell.run('return \"second\"')"])
def test_a_stop_that_came_too_late_for_its_cell_does_not_stop_the_next(own_client, next_cell):
    """The kernel notes an interrupt until the request has ended: a hook that IPython runs after the cell sends one."""
    client = own_client
    client.run(
        "def late(result):\n"
        "    if result is not None and result.info.raw_cell.startswith('%%lua'):\n"
        "        get_ipython().events.unregister('post_run_cell', late)\n"
        "        get_ipython().llmspell.early_stop.asked = True\n"
        "get_ipython().events.register('post_run_cell', late)"
    )
    assert client.run("%%lua\n'first'").result == "first"
    assert "second" in client.run(next_cell).result


def test_a_stop_noted_before_a_request_does_not_stop_it(own_client):
    own_client.run("llmspell.early_stop.asked = True")
    assert own_client.run("%%lua\n'it runs'").result == "it runs"


def test_a_stop_that_met_wrong_options_does_not_stop_the_next(own_client):
    client = own_client
    client.run("llmspell.early_stop.asked = True")
    assert client.run("await get_ipython().llmspell.run_cell('lua', '--stat x', '1', 1)").status == "error"
    assert client.run("await get_ipython().llmspell.run_cell('lua', '', '\\nreturn 2', 1)").result == "2"


def test_a_magic_above_a_script_is_stopped_as_python_is(lua_client):
    client = lua_client
    request = client.send("%time import time; print('on', flush=True); time.sleep(30)\nreturn 'ran'")
    client.wait_until("stream", request)
    started = time.perf_counter()
    client.manager.interrupt_kernel()
    ran = client.wait(request)
    assert time.perf_counter() - started < QUICK_S and ran.result is None
    assert client.run("return 3").result == "3"


def test_a_magic_above_a_script_runs_before_it(lua_client):
    ran = lua_client.run("%env LLMSPELL_TEST_MARK=1\n\nprint('script')\nreturn 4")
    assert ran.stream("stdout") == "env: LLMSPELL_TEST_MARK=1\nscript\n" and ran.result == "4"


def test_a_stop_during_llmspell_run_ends_the_script_and_keeps_its_state(client):
    client.run("await llmspell.run('kept = 5', state='s')")
    request = client.send("await llmspell.run('print(1) sleep(30)', state='s')")
    client.wait_until("stream", request)
    started = time.perf_counter()
    client.manager.interrupt_kernel()
    ran = client.wait(request)
    assert ran.reply["ename"] == "KeyboardInterrupt" and time.perf_counter() - started < QUICK_S
    assert client.run("await llmspell.run('return kept', state='s')").result == "5"


def test_a_stop_of_scripts_run_as_tasks_leaves_the_kernel_and_the_states(client):
    client.run("await llmspell.run('kept = 6', state='a'); await llmspell.run('kept = 7', state='b')")
    code = "import asyncio\nawait asyncio.gather(*(llmspell.run('print(1) sleep(30)', state=name) for name in 'ab'))"
    request = client.send(code)
    client.wait_until("stream", request)
    client.manager.interrupt_kernel()
    assert client.wait(request).status == "error"
    assert client.run("[await llmspell.run('return kept', state=name) for name in 'ab']").result == "[6, 7]"


def test_a_script_that_is_waited_for_too_long_keeps_its_state(client):
    client.run("await llmspell.run('kept = 8', state='t')")
    ran = client.run("import asyncio\nawait asyncio.wait_for(llmspell.run('sleep(30)', state='t'), 0.1)")
    assert ran.reply["ename"] == "TimeoutError"
    assert client.run("await llmspell.run('return kept', state='t')").result == "8"


SAYS_WHEN_IT_WAITS = """
import asyncio
states = llmspell.session.states
async def tell():
    while not any(state.phase().value == "waiting" for state in states.values()):
        await asyncio.sleep(0)
    print("it waits", flush=True)
telling = asyncio.create_task(tell())
"""


@pytest.mark.parametrize(
    ("command", "told"),
    [("restart-state --to {cell}", "the lua state 'main' is restored as it was before its next cell"), ("fork then", "stopped")],
)
def test_a_stop_ends_a_restoration_that_a_command_waits_for(own_client, command, told):
    client = own_client
    client.run("%%lua\nkept = 9")
    cell = client.run("%%lua\nlog.info('x')").reply["execution_count"]
    # as if nobody had waited for that call: it gets no answer when its cell runs again
    assert client.run("call = llmspell.session.states['main', 'lua'].history.cells[-1].calls[0]; call.given_up = True").status == "ok"
    assert client.run(SAYS_WHEN_IT_WAITS).status == "ok"
    request = client.send("%llmspell " + command.format(cell=cell))
    client.wait_for("stream")
    started = time.perf_counter()
    client.manager.interrupt_kernel()
    ran = client.wait(request)
    assert ran.reply["ename"] == "KeyboardInterrupt" and time.perf_counter() - started < QUICK_S
    assert told in ran.reply["evalue"]
    client.run("call.given_up = False")
    assert client.run("%%lua\nreturn kept").result == "9"
    assert "then" not in client.run("%llmspell states").stream("stdout")
