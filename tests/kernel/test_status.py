"""`%llmspell status`, `llmspell.status()`, and the init script of a language, in real kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Client

MARK = {"lua": 'mark = 1 print("begun")', "javascript": 'globalThis.mark = 1; console.log("begun")'}
GET = {"lua": "%%lua --state {}\nmark", "javascript": "%%js --state {}\nglobalThis.mark"}


def test_the_status_is_a_table_and_plain_data(client: Client) -> None:
    client.run("%%lua --state counted\nprint('12345')")
    (shown,) = client.run("%llmspell status").of("display_data")
    assert "lua 'counted'" in shown["data"]["text/plain"] and "layers: " in shown["data"]["text/plain"]
    assert "<table" in shown["data"]["text/html"]
    read = "[(s['output_bytes'], s['pid'] > 0) for s in llmspell.status()['states'] if s['state'] == 'counted']"
    assert client.run(read).result == "[(6, True)]"
    assert client.run("import json; len(json.dumps(llmspell.status())) > 100").result == "True"


@pytest.mark.parametrize("engine", sorted(MARK))
def test_an_init_script_set_by_the_magic_runs_in_states_from_then_on(client: Client, engine: str, tmp_path: Path) -> None:
    name = f"init-{engine}"
    (tmp_path / f"init.{engine}").write_text(MARK[engine])
    client.run(GET[engine].format("before"))
    said = client.run(f"%llmspell config init.{engine}={tmp_path}/init.{engine}").stream("stdout")
    assert said.startswith(f"init.{engine}: for states opened from now on")
    ran = client.run(GET[engine].format(name))
    assert (ran.result, ran.stream("stdout")) == ("1", "begun\n")
    assert client.run(GET[engine].format("before")).result != "1"
    read = client.run(f"await llmspell.states['{engine}', '{name}-read'].get('mark')")
    assert (read.result, read.stream("stdout")) == ("1", "begun\n"), "also where Python is the first to ask"
    client.run(f"%llmspell reset {engine} {name}")
    assert client.run(GET[engine].format(name)).result == "1", "also after a reset"
    (tmp_path / f"init.{engine}").write_text("\n\nnot a script at all")
    ran = client.run(GET[engine].format(f"{name}-wrong"))
    assert f"init script {tmp_path}/init.{engine}" in ran.error["evalue"]
    assert f"init.{engine} line 3" in "\n".join(ran.error["traceback"])
    assert client.run(f"%llmspell config init.{engine}=").status == "ok"
    assert client.run(GET[engine].format(f"{name}-wrong")).status == "ok"
