"""Metrics as Prometheus reads them over HTTP, and what a script cannot make of them."""

from __future__ import annotations

import asyncio
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llmspell_kernel.errors import ConfigError
from llmspell_kernel.journal.events import (
    AnyEvent,
    CallChunk,
    CallDenied,
    CallFailed,
    CallFinished,
    CallStarted,
    CallUsage,
    CellFinished,
    CellStarted,
    StateRestored,
    WorkerWasLost,
)
from llmspell_kernel.journal.recorder import Recorder
from llmspell_kernel.observe.metrics import MOST_MODELS, Metrics
from llmspell_kernel.observe.observation import Observation
from llmspell_kernel.policy.observe import ObservePolicy
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.values import ResourceRef


def scraped(port: int, host: str = "") -> dict[str, float]:
    """Every sample by its name and labels, `llmspell_cells_total{engine=lua,status=ok}`."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Host": host} if host else {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    made = Metrics(0)
    made.start()
    yield made
    made.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.mark.parametrize(
    ("engine", "code"),
    [
        ("lua", "hash.md5('a') llm.chat('hi') local t = llm.stream('a b'):text() pcall(hash.md5) error('x')"),
        (
            "javascript",
            "await hash.md5('a'); await llm.chat('hi'); const t = await (await llm.stream('a b')).text(); "
            "try { await hash.md5() } catch (e) {} throw new Error('x')",
        ),
    ],
)
def test_cells_and_calls_are_counted_and_read_over_http(engine: str, code: str) -> None:
    async def run() -> dict[str, float]:
        port = free_port()
        observation = Observation(ObservePolicy(metrics_port=port), os.environ)
        async with Session(settings=Settings(model="spell/echo")) as session:
            observation.start(session.recorder)
            await session.run(code, engine=engine)
        try:
            return await asyncio.to_thread(scraped, port)
        finally:
            observation.close()

    found = asyncio.run(run())
    expected = {
        f"llmspell_cells_total{{engine={engine},status=error}}": 1,
        f"llmspell_cell_seconds_count{{engine={engine}}}": 1,
        "llmspell_calls_total{call=hash.md5,outcome=ok}": 1,
        "llmspell_calls_total{call=llm.chat,outcome=ok}": 1,
        "llmspell_call_seconds_count{call=llm.chat}": 1,
        "llmspell_calls_total{call=hash.md5,outcome=denied}": 1,
        "llmspell_denials_total{call=hash.md5}": 1,
        "llmspell_first_text_seconds_count{call=llm.stream}": 1,
        "llmspell_cost_usd_total{model=spell/echo}": 0,
        "llmspell_workers_lost_total": 0,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["llmspell_tokens_total{kind=output,model=spell/echo}"] == 2 + 3  # echo: hi, echo: a b


def test_every_event_ends_in_its_count(metrics: Metrics) -> None:
    events: list[AnyEvent] = [
        CellStarted(1, 1000.0, "lua", "main", "cell[1]", "code"),
        CallStarted(1, 1001.0, 1, "llm", "chat", ["x"]),
        CallChunk(1, 1001.5, 1, "a"),
        CallChunk(1, 1001.9, 1, "b"),
        CallUsage(1, 1002.0, 1, "m", 10, 5, 4, 0.25),
        CallFinished(1, 1002.0, 1, "ab", 1.0),
        CallStarted(1, 1003.0, 2, "llm", "chat", ["x"]),
        CallUsage(1, 1003.0, 2, "m", 3, 0, 0, None),
        CallFailed(1, 1003.0, 2, "timeout", "", 0.5),
        CallStarted(1, 1003.0, 3, "llm", "chat", ["x"]),
        CallFailed(1, 1003.0, 3, "cancelled", "", 0.5, cancelled=True),
        CallStarted(1, 1003.0, 4, "llm", "chat", ["x"]),
        CallUsage(1, 1003.0, 4, "m", 1000, 1000, 0, 0.0),
        CallFinished(1, 1003.0, 4, "ab", 0.0, replayed=True),
        CallStarted(1, 1003.0, 5, "llm", "stream", ["x"]),
        CallFinished(1, 1003.0, 5, ResourceRef(1, "llm.stream"), 0.0),
        CallUsage(1, 1004.0, 5, "m", 1, 1, 0, 0.5),
        WorkerWasLost(1, 1005.0, "main", "signal 9"),
        StateRestored(1, 1006.0, "main", 3, 0.1),
        CellFinished(1, 1007.0, "lost", 7.0),
    ]
    for event in events:
        metrics(event)
    found = scraped(metrics.port)
    outcomes = {"ok": 1, "failed": 1, "cancelled": 1, "replayed": 1}
    assert {outcome: found[f"llmspell_calls_total{{call=llm.chat,outcome={outcome}}}"] for outcome in outcomes} == outcomes
    assert {kind: found[f"llmspell_tokens_total{{kind={kind},model=m}}"] for kind in ("input", "cached", "output")} == {
        "input": 10,
        "cached": 4,
        "output": 6,
    }
    assert found["llmspell_cost_usd_total{model=m}"] == 0.75 and found["llmspell_unpriced_requests_total{model=m}"] == 1
    assert found["llmspell_first_text_seconds_sum{call=llm.chat}"] == 0.5
    assert found["llmspell_workers_lost_total"] == found["llmspell_states_restored_total"] == 1
    assert found["llmspell_cells_total{engine=lua,status=lost}"] == 1


def test_names_that_a_script_makes_up_bring_no_labels_without_bound(metrics: Metrics) -> None:
    for number in range(1000):
        metrics(CallDenied(1, 1000.0, number, f"bridge{number}", "x" * 100_000, [], "unknown", ""))
        metrics(CallStarted(1, 1000.0, number, "llm", "chat", []))
        metrics(CallUsage(1, 1000.0, number, f"openai/made-up-{number}" + "x" * 1000, 0, 0))
        metrics(CallFailed(1, 1000.0, number, f"code{number}", "", 0.0))
    for number in range(1000, 2000):
        metrics(CallStarted(1, 1000.0, number, "llm", "chat", []))
        metrics(CallUsage(1, 1000.0, number, f"ollama/{number}\n\ud800", 1, 1))
        metrics(CallFinished(1, 1000.0, number, "", 0.0))
    found = scraped(metrics.port)
    assert found["llmspell_denials_total{call=other}"] == 1000
    models = {name for name in found if name.startswith("llmspell_unpriced_requests_total")}
    assert len(models) == MOST_MODELS + 1
    assert len(found) < 1_000 and max(map(len, found)) < 1_000


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example:9464"])
def test_a_web_page_that_points_its_own_name_here_reads_nothing(metrics: Metrics, host: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        scraped(metrics.port, host)
    assert caught.value.code == 403 and b"llmspell_cells" not in caught.value.read()
    assert scraped(metrics.port, f"localhost:{metrics.port}")


def test_metrics_are_for_this_machine_alone(metrics: Metrics) -> None:
    assert metrics._server is not None and metrics._server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_told_and_cells_run_without_metrics(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        observation = Observation(ObservePolicy(metrics_port=taken.getsockname()[1]), os.environ)
        observation.start(Recorder())
    assert not observation.is_on
    (record,) = caplog.records
    assert record.getMessage().startswith("observe.metrics_port failed, and is off from now on: OSError:")


def test_a_port_that_there_is_not_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match="there is no port 70000"):
        Observation(ObservePolicy(metrics_port=70_000), os.environ)


def test_two_sessions_count_apart() -> None:
    one, other = Metrics(0), Metrics(0)
    one(CellFinished(1, 1.0, "ok", 1.0))
    assert _sum(one) == 1 and _sum(other) == 0


def _sum(metrics: Metrics) -> Any:
    return sum(sample.value for family in metrics.registry.collect() for sample in family.samples if sample.name == "llmspell_cells_total")
