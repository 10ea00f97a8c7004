"""A session's workers have the layers of its preset; one that requires them runs nothing without."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from llmspell_kernel.errors import ConfigError
from llmspell_kernel.policy.layers import confinement_of
from llmspell_kernel.policy.workers import WorkerPolicy
from llmspell_kernel.protocol.steps import Finished
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.testing.fake_worker import FakePool, FakeWorker
from llmspell_kernel.workers import probe
from llmspell_kernel.workers.pool import WorkerPool


def test_a_worker_is_asked_for_the_layers_of_the_preset() -> None:
    async def asked(settings: Settings) -> tuple[str, ...]:
        pool = FakePool([FakeWorker([Finished()])])
        async with Session(settings=settings, pool=pool) as session:
            await session.run("x")
        return pool.workers[0].asked_layers

    for preset in ("minimal", "standard"):
        assert asyncio.run(asked(Settings(preset=preset))) == confinement_of(preset).layers
    assert asyncio.run(asked(Settings(confinement="off"))) == ()


NO_LANDLOCK = "this kernel has no Landlock"


@pytest.mark.parametrize("missing", [{"landlock": NO_LANDLOCK}, {"landlock": NO_LANDLOCK, "seccomp_strict": "no filters"}])
def test_a_strict_session_runs_nothing_where_a_layer_is_missing_and_says_which(missing: Mapping[str, str]) -> None:
    async def play() -> None:
        fakes = [FakeWorker([Finished()], missing_layers=missing) for _ in range(3)]
        pool = FakePool(fakes)
        pool.confine(confinement_of("strict").layers, required=True)
        async with Session(pool=pool) as session:
            # as Session(preset strict) does, without closing this process's memory
            pool.confine(confinement_of("strict").layers, required=True)
            result = await session.run("x")
            assert isinstance(result.error, ConfigError)
            assert all(f"{name} ({why})" in result.error.message for name, why in missing.items())
            assert "privileges" not in result.error.message
        assert [fake.of("begin") for fake in fakes] == [[], [], []]
        assert not any(fake.alive for fake in pool.workers)

    asyncio.run(play())


def test_a_standard_session_goes_on_without_a_layer_that_is_missing() -> None:
    async def play() -> None:
        pool = FakePool([FakeWorker([Finished()], missing_layers={"landlock": NO_LANDLOCK})])
        async with Session(pool=pool) as session:
            assert (await session.run("x")).error is None

    asyncio.run(play())


def test_a_change_of_confinement_holds_for_the_next_state() -> None:
    async def play() -> None:
        pool = WorkerPool(policy=WorkerPolicy(), startup_s=10)
        async with Session(pool=pool) as session:
            layers = []
            for mode in ("auto", "off"):
                session.configure(Settings(confinement=mode))
                assert (await session.run("return 1", state=mode)).values == [1]
                worker = session.states[(mode, "lua")].worker
                assert worker is not None
                layers.append(tuple(worker.layers))
        assert layers == [confinement_of("standard").layers, ()]

    asyncio.run(play())


def test_a_contradiction_changes_nothing() -> None:
    async def play() -> None:
        async with Session(settings=Settings(confinement="off"), pool=FakePool()) as session:
            with pytest.raises(ConfigError, match="cannot be 'off'"):
                session.configure(Settings(preset="strict", confinement="off"))
            assert session.settings.preset == "standard"

    asyncio.run(play())


@pytest.mark.parametrize(
    "wrong",
    [
        {"secrets": {"x": {}}},
        {"limits": {"nope": 1}},
        {"budgets": {"nope": 1}},
        {"network": {"nope": 1}},
        {"workers": {"nope": 1}},
        {"init": {"nope": "x.lua"}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_settings_that_are_refused_change_nothing(wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the strictest preset, whose layers and whose shield would stay."""
    shielded: list[bool] = []
    monkeypatch.setattr("llmspell_kernel.session.session.shield_host", lambda: shielded.append(True))

    async def play() -> None:
        pool = FakePool()
        async with Session(pool=pool) as session:
            before = session.settings, session.limits, session.grants, session.budgets.caps, session.secrets.names(), pool._layers
            with pytest.raises(ConfigError, match="nope|secrets.x"):
                session.configure(Settings(preset="strict", **wrong))
            after = session.settings, session.limits, session.grants, session.budgets.caps, session.secrets.names(), pool._layers
            assert (after, shielded) == (before, [])

    asyncio.run(play())


def test_a_host_that_cannot_be_shielded_keeps_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses() -> None:
        raise ConfigError("cannot be had", key="preset")

    monkeypatch.setattr("llmspell_kernel.session.session.shield_host", refuses)

    async def play() -> None:
        async with Session(pool=FakePool()) as session:
            with pytest.raises(ConfigError, match="cannot be had"):
                session.configure(Settings(preset="strict", secrets={"x": {"env": "X"}}))
            assert (session.settings, session.secrets.names()) == (Settings(), [])

    asyncio.run(play())


HOST = """
import asyncio, ctypes, json, sys
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings

async def main():
    readable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
    async with Session(settings=Settings(preset=sys.argv[1])) as session:
        values = [(await session.run(code, engine=engine)).values for engine, code in json.loads(sys.argv[2]).items()]
    print(json.dumps([values, readable, ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)]))

asyncio.run(main())
"""


@pytest.mark.parametrize(("preset", "after"), [("minimal", 1), ("standard", 1), ("strict", 0)])
def test_scripts_run_in_every_preset_and_strict_closes_the_hosts_memory(preset: str, after: int) -> None:
    missing = [why for why in asyncio.run(probe(layers=confinement_of(preset).layers)).layers.values() if why]
    if confinement_of(preset).required and missing:
        pytest.skip(f"this machine cannot confine a worker ({', '.join(missing)})")
    cells = json.dumps({"lua": "return #('x'):rep(10)", "javascript": "const a = await Promise.all([1, 2]); a.length"})
    done = subprocess.run([sys.executable, "-c", HOST, preset, cells], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == [[[10], [2]], 1, after]
