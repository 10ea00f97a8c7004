"""Notebooks that are observed: switched on by the user's file or a magic, in a real kernel."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..observe.collector import Collector, collecting
from ..observe.test_metrics import scraped
from .conftest import Client


@pytest.fixture
def collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setenv("LLMSPELL_MODEL", "spell/echo")
    monkeypatch.setenv("LLMSPELL_DISPLAY", "static")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    with collecting() as (made, address):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        yield made


@pytest.fixture
def wrong(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "nowhere")


@pytest.fixture
def client(collector: Collector, request: Any, tmp_path: Path) -> Iterator[Client]:
    file = tmp_path / "config" / "llmspell" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(getattr(request, "param", ""))
    started = Client("llmspell")
    yield started
    started.close()


@pytest.mark.parametrize("client", ["[observe]\ntraces = true\n"], indirect=True)
def test_the_cells_of_a_notebook_are_all_sent_when_its_kernel_ends(client: Client, collector: Collector) -> None:
    client.run("%%lua\nreturn llm.chat('hi')")
    client.run("%%js\nawait hash.md5('a')")
    client.manager.shutdown_kernel(now=False)
    for engine, call in (("lua", "chat echo"), ("javascript", "hash.md5")):
        assert [span.name for span in collector.below(collector.named(f"{engine} cell"))] == [call]


def test_what_is_told_can_be_switched_on_and_off_in_the_notebook(client: Client, collector: Collector) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    client.run("%%lua\nreturn 1")
    assert "from the next cell" in client.run(f"%llmspell config observe.traces=true observe.metrics_port={port}").stream("stdout")
    client.run("%%lua\nhash.md5('a')")
    assert scraped(port)["llmspell_calls_total{call=hash.md5,outcome=ok}"] == 1
    client.run("%llmspell config observe.traces=false observe.metrics_port=0")
    client.run("%%lua\nreturn 1")
    assert sorted(collector.names) == ["hash.md5", "lua cell"]
    with pytest.raises(OSError):
        scraped(port)


@pytest.mark.parametrize("client", ["[observe]\ntraces = true\n"], indirect=True)
def test_a_wrong_variable_is_told_at_each_script_cell_and_python_goes_on(wrong: None, client: Client) -> None:
    error = client.run("%%lua\nreturn 1").error
    assert error["ename"] == "ConfigError" and "there is no exporter 'nowhere'" in error["evalue"]
    assert client.run("6 * 7").result == "42"
