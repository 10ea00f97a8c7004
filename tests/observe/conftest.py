"""What the tests of observers share: an environment without OTEL_* variables but those of the test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from .collector import Collector, collecting


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LLMSPELL_MODEL", "spell/echo")


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as (made, address):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        yield made
