"""Observers that fail, that lack a package, and that nobody switched on."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmspell_kernel.errors import ConfigError
from llmspell_kernel.journal.events import AnyEvent, CellFinished
from llmspell_kernel.journal.recorder import Recorder
from llmspell_kernel.observe.event_log import EventLog
from llmspell_kernel.observe.observation import Observation
from llmspell_kernel.policy.observe import ObservePolicy
from llmspell_kernel.settings import Settings
from llmspell_kernel.spells.running import run

from .collector import Collector
from .runs import observed

OFF = """
import asyncio, sys
from llmspell_kernel.spells.running import run
result = run("llm.chat('hi') return 1", engine="lua")
assert result.error is None, result.error
import llmspell_kernel.kernel.notebook
print(sorted(name for name in sys.modules if name.startswith(("opentelemetry", "prometheus_client", "google.protobuf"))))
"""


def test_nothing_of_opentelemetry_or_prometheus_is_imported_unless_it_is_switched_on(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", OFF], cwd=tmp_path, text=True, capture_output=True, timeout=60, check=False)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr


@pytest.mark.parametrize(
    ("policy", "hidden", "key"),
    [
        (ObservePolicy(traces=True), "opentelemetry", "observe.traces"),
        (ObservePolicy(metrics_port=9464), "prometheus_client", "observe.metrics_port"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_cure(
    policy: ObservePolicy, hidden: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith((hidden, "llmspell_kernel.observe."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, hidden, None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[observe\]' in a checkout") as caught:
        Observation(policy, os.environ)
    assert caught.value.key == key


def test_an_observer_that_fails_fails_no_cell_and_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: EventLog, event: AnyEvent) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(EventLog, "__call__", fail)
    results = observed(ObservePolicy(logs=True), "return 1", "return llm.chat('hi')")
    assert [result.values for result in results] == [[1], ["echo: hi"]]
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert told == ["observe.logs failed, and is off from now on: RuntimeError: on purpose"]


def test_an_observer_that_fails_keeps_no_other_from_its_events(monkeypatch: pytest.MonkeyPatch, collector: Collector) -> None:
    def fail(self: EventLog, event: AnyEvent) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(EventLog, "__call__", fail)
    observed(ObservePolicy(logs=True, traces=True), "return 1")
    assert collector.names == ["lua cell"]


def test_a_collector_that_is_not_there_is_told_of_once_and_costs_no_cell(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    monkeypatch.setattr(logging.getLogger("opentelemetry"), "propagate", False)
    results = observed(ObservePolicy(traces=True), "return 1", "return 2")
    assert [result.values for result in results] == [[1], [2]]
    (told,) = [record.getMessage() for record in caplog.records if record.name.startswith("llmspell")]
    assert told.startswith("observe.traces: spans are lost: ") and told.endswith("[told once]")


def test_closing_twice_is_closing_once() -> None:
    observation = Observation(ObservePolicy(logs=True), os.environ)
    recorder = Recorder()
    observation.start(recorder)
    observation.close()
    observation.close()
    recorder.record(CellFinished(1, 1.0, "ok", 1.0))
    assert not observation.is_on


def test_the_python_interface_observes_as_the_settings_say(collector: Collector) -> None:
    result = run("return hash.md5('x')", engine="lua", settings=Settings(observe={"traces": True}))
    assert result.error is None
    assert [span.name for span in collector.below(collector.named("lua cell"))] == ["hash.md5"]


def test_the_command_observes_as_the_settings_say(collector: Collector, tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("await hash.md5('x')")
    command = [sys.executable, "-m", "llmspell_kernel.cli", "run", "a.js", "--set", "observe.traces=true", "--set", "observe.logs=true"]
    done = subprocess.run(command, cwd=tmp_path, env=dict(os.environ), text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert '"event":"CallStarted"' in done.stderr
    assert [span.name for span in collector.below(collector.named("javascript cell"))] == ["hash.md5"]


def test_a_projects_file_may_switch_nothing_on(tmp_path: Path) -> None:
    (tmp_path / "llmspell.toml").write_text("[observe]\ntraces = true\n")
    (tmp_path / "a.lua").write_text("return 1")
    environ = {**os.environ, "HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "llmspell_kernel.cli", "run", "a.lua"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 2 and "observe.traces" in done.stderr and "a project's file may not set this" in done.stderr
