"""What scripts keep outlives a real kernel, however it ends, and is shared by kernels in one folder."""

from __future__ import annotations

import os
import signal

import pytest

from .conftest import Client

COUNT = {
    "lua": '%%lua\nfor i = 1, {n} do print(storage.increment("count")) end',
    "javascript": '%%js\nfor (let i = 0; i < {n}; i++) { console.log(await storage.increment("count")); }',
}
KEEP = '%%lua\nstorage.set("kept", { a = { 1, 2.5, "x" } }) storage.write("notes/a.txt", "text")'
FIND = '%%js\nJSON.stringify([await storage.get("kept"), await storage.read("notes/a.txt")])'


@pytest.fixture
def kernels(environment, tmp_path, monkeypatch):
    """Starts kernels whose folder is this test's own."""
    monkeypatch.chdir(tmp_path)
    started = []

    def start():
        started.append(Client("llmspell"))
        return started[-1]

    yield start
    for client in started:
        client.close()


def test_a_restarted_kernel_finds_what_scripts_kept(kernels):
    client = kernels()
    assert client.run(KEEP).status == "ok"
    before = client.run(FIND).result
    client.manager.restart_kernel(now=False)
    client.channels.wait_for_ready(timeout=60)
    assert client.run(FIND).result == before and "2.5" in before


@pytest.mark.parametrize("engine", sorted(COUNT))
def test_a_killed_kernel_loses_nothing_that_a_script_was_told_is_kept(kernels, engine):
    client = kernels()
    request = client.send(COUNT[engine].replace("{n}", "9999"))
    told = []
    while len(told) < 5:
        message = client.channels.get_iopub_msg(timeout=30)
        if message["msg_type"] == "stream" and message["parent_header"].get("msg_id") == request:
            told += message["content"]["text"].split()
    os.kill(client.pid, signal.SIGKILL)
    assert told == [str(number) for number in range(1, len(told) + 1)]
    assert int(kernels().run('%%lua\nreturn storage.get("count")').result) >= len(told)


def test_two_kernels_in_one_folder_lose_no_addition(kernels):
    clients = {engine: kernels() for engine in COUNT}
    requests = {engine: client.send(COUNT[engine].replace("{n}", "300")) for engine, client in clients.items()}
    assert [clients[engine].wait(request, timeout=60).status for engine, request in requests.items()] == ["ok", "ok"]
    assert clients["lua"].run('%%lua\nreturn storage.get("count")').result == "600"
