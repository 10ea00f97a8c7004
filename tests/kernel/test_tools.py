"""Tools in real kernels: Python's functions, the two commands, and the form's button in a front end that has widgets."""

from __future__ import annotations

from typing import Any

REGISTER = """%%lua
tools.register("greet", "Greets.", { who = "string" }, function(args) return "hi " .. args.who end)
"""
PYTHON = """@llmspell.tool(level="write")
def twice(n: int) -> int:
    "Doubles."
    return 2 * n"""


def test_python_and_scripts_call_each_others_tools(client: Any) -> None:
    assert client.run(REGISTER).status == "ok"
    assert client.run(PYTHON).status == "ok"
    assert client.run("await llmspell.call_tool('greet', who='Ann')").result == "'hi Ann'"
    assert client.run("%%js\nawait tools.call('twice', { n: 4 })").result == "8"
    wrong = client.run("await llmspell.call_tool('greet')").error
    assert "'who' is a required property" in wrong["evalue"]
    assert not any("bridges/tools.py" in line for line in wrong["traceback"])


def test_the_commands_show_tools_in_a_notebook_that_cannot_be_clicked(client: Any) -> None:
    client.run(REGISTER)
    (shown,) = client.run("%llmspell tools greet").of("display_data")
    assert "greet" in shown["data"]["text/plain"] and "Greets." in shown["data"]["text/plain"]
    (page,) = client.run("%llmspell tool greet").of("display_data")
    assert "who" in page["data"]["text/plain"] and "application/vnd.jupyter.widget-view+json" not in page["data"]
    every = client.run("%llmspell tools").of("display_data")[0]["data"]
    assert "text/html" in every and max(map(len, every["text/plain"].splitlines())) < 80
    assert client.run("%llmspell tool gret").error["evalue"].startswith("there is no tool 'gret'; did you mean 'greet'")


def test_a_click_on_the_forms_button_calls_the_tool(own_client: Any) -> None:
    own_client.run(REGISTER)
    own_client.run("%llmspell config display=live")
    ran = own_client.run("%llmspell tool greet")
    views = [shown["data"].get("application/vnd.jupyter.widget-view+json") for shown in ran.of("display_data")]
    assert len(views) == 1 and views[0] is not None
    opened = {
        message["content"]["comm_id"]: message["content"]["data"]["state"] for message in ran.messages if message["msg_type"] == "comm_open"
    }
    (button,) = (comm for comm, state in opened.items() if state.get("description") == "Call")
    (field,) = (comm for comm, state in opened.items() if str(state.get("tooltip")).startswith("who *"))
    (output,) = (comm for comm, state in opened.items() if state["_model_name"] == "OutputModel")
    _send(own_client, field, {"method": "update", "state": {"value": "Bob"}, "buffer_paths": []})
    _send(own_client, button, {"method": "custom", "content": {"event": "click"}})
    while True:
        update = own_client.wait_for("comm_msg")
        outputs = update["data"].get("state", {}).get("outputs") if update["comm_id"] == output else None
        if outputs:
            break
    assert "hi Bob" in outputs[0]["data"]["text/plain"]


def _send(client: Any, comm: str, data: dict[str, Any]) -> None:
    client.channels.shell_channel.send(client.channels.session.msg("comm_msg", {"comm_id": comm, "data": data}))
