"""What a cell leaves in the background, in real kernels: it prints under its own cell, is listed, and is ended by `%llmspell stop`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from llmspell_kernel.kernel.state_commands import tasks
from llmspell_kernel.session import BackgroundTask

START = {
    "lua": "%%lua\nasync.background(function() while true do sleep(0.05) ticks = (ticks or 0) + 1 print('tick') end end, 'ticker')",
    "javascript": """%%js
let ticks = 0
async.background(async () => { for (;;) { await sleep(0.05); ticks++; console.log("tick") } }, "ticker")""",
}
TICKS = {"lua": "%%lua\nsleep(0.2) return ticks", "javascript": "%%js\nawait sleep(0.2); ticks"}


@pytest.mark.parametrize("engine", sorted(START))
@pytest.mark.parametrize("client", ["llmspell", "python3"], indirect=True)
def test_background_work_goes_on_between_cells_is_listed_and_ended(client, engine):
    started = client.send(START[engine])
    assert client.wait(started).status == "ok"
    # it prints below the cell that started it, although that has ended
    message = client.channels.get_iopub_msg(timeout=20)
    while message["msg_type"] != "stream":
        message = client.channels.get_iopub_msg(timeout=20)
    assert message["parent_header"]["msg_id"] == started
    assert message["content"]["text"].startswith("tick\n")
    assert f"{engine} 'main': ticker" in client.run("%llmspell tasks").stream("stdout")
    assert client.run(TICKS[engine]).status == "ok", "a cell runs beside it"
    assert f"{engine} 'main': ticker" in client.run("%llmspell tasks").stream("stdout")
    assert "Stopping:" in client.run(f"%llmspell stop {engine}").stream("stdout")
    after = client.run(TICKS[engine])
    assert after.status == "ok", after.messages
    assert "Nothing goes on" in client.run("%llmspell tasks").stream("stdout")


def test_the_name_that_a_script_gives_its_work_steers_no_terminal(capsys):
    notebook = SimpleNamespace(background=[BackgroundTask("main", "lua", "\x1b]0;owned\x07\x1b[2Jticker\u202e")])
    tasks([], notebook, print)
    assert capsys.readouterr().out == "lua 'main': ticker\n"
