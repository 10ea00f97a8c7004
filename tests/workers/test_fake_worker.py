"""The shipped fake has the surface of the real worker, and holds to the protocol as it does."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from llmspell_kernel.errors import LocalProtocolError, WorkerLost
from llmspell_kernel.protocol.output import Output
from llmspell_kernel.protocol.steps import Answer, Effect, Fault, Finished, Suspended
from llmspell_kernel.protocol.transitions import Phase
from llmspell_kernel.testing.fake_worker import Busy, Dies, FakeWorker, Printed
from llmspell_kernel.workers.worker import Worker


def public(kind: type) -> dict[str, object]:
    return {name: member for name, member in vars(kind).items() if not name.startswith("_")}


def test_the_fake_has_every_public_name_of_the_worker_with_its_signature() -> None:
    real, fake = public(Worker), public(FakeWorker)
    for name, member in real.items():
        assert type(fake[name]) is type(member), name
        if inspect.isfunction(member):
            assert inspect.signature(fake[name]) == inspect.signature(member), name  # type: ignore[arg-type]
    assert {"engines", "on_output", "on_lost", "pid", "alive"} <= set(dir(FakeWorker()))


async def ready(*items: object) -> FakeWorker:
    worker = FakeWorker(items)  # type: ignore[arg-type]
    await worker.started(1)
    await worker.open(1, "lua", b"{}", b"{}")
    return worker


def test_the_fake_plays_its_items_and_records_its_calls() -> None:
    async def play() -> None:
        asked = Suspended([Effect(1, "llm", "chat")])
        worker = await ready(Printed("stdout", "a"), asked, Printed("stderr", "b"), Finished())
        heard: list[Output] = []
        worker.on_output[1] = heard.append
        assert await worker.begin(1, "x", "cell[1]") == asked
        assert (worker.phase(1), heard) == (Phase.WAITING, [Output(1, "stdout", "a")])
        assert await worker.resume(1, [Answer(1)], []) == Finished()
        assert (worker.phase(1), len(heard)) == (Phase.IDLE, 2)
        assert [name for name, _ in worker.calls] == ["started", "open", "begin", "resume"]

    asyncio.run(play())


def test_the_fake_holds_both_sides_to_the_protocol() -> None:
    async def play() -> None:
        worker = await ready(Suspended([Effect(1, "llm", "chat")]), Suspended([Effect(1, "llm", "chat")]))
        with pytest.raises(LocalProtocolError):
            await worker.resume(1, [], [])
        await worker.begin(1, "x", "cell[1]")
        with pytest.raises(WorkerLost, match="broke the protocol: effect 1 does not count up"):
            await worker.resume(1, [Answer(1)], [])
        assert not worker.alive

    asyncio.run(play())


def test_the_fake_runs_until_it_is_stopped_or_lost() -> None:
    async def play() -> None:
        worker = await ready(Busy(), Finished(), Busy(deaf=True))
        loop = asyncio.get_running_loop()
        loop.call_soon(worker.stop, 1)
        assert await worker.begin(1, "x", "cell[1]") == Finished()
        loop.call_soon(worker.stop, 1)
        loop.call_later(0.01, worker.lose, "it did not stop")
        with pytest.raises(WorkerLost, match="did not stop"):
            await worker.begin(1, "y", "cell[2]")

    asyncio.run(play())


def test_the_fake_dies_when_its_items_say_so_and_stays_dead() -> None:
    async def play() -> None:
        worker = await ready(Dies("exit status 9"))
        for _ in range(2):
            with pytest.raises(WorkerLost) as caught:
                await worker.begin(1, "x", "cell[1]")
            assert caught.value.reason == "exit status 9"

    asyncio.run(play())


def test_the_fake_answers_questions_as_it_was_told() -> None:
    async def play() -> None:
        worker = FakeWorker(replies={("get", "x"): b"[1]"}, refusal=Fault("internal", "no"))
        await worker.started(1)
        with pytest.raises(Exception, match="no"):
            await worker.open(1, "lua", b"{}", b"{}")
        other = FakeWorker(replies={("get", "x"): b"[1]"})
        await other.started(1)
        await other.open(1, "lua", b"{}", b"{}")
        assert (await other.query(1, "get", "x"), await other.query(1, "get", "y")) == (b"[1]", b"null")

    asyncio.run(play())
