"""Questions to one provider go over one connection, and an answer that is given up closes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from llmspell_kernel.services.llm import kept_connections
from llmspell_kernel.services.llm.generation import Generation
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.testing.openai_server import Reply, events_of

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Keeping:
    """A provider that keeps connections open; `end` is what it sends after its last event, `events` what it says."""

    def __init__(self) -> None:
        self.connections = self.open = 0
        self.closed = asyncio.Event()
        self.events = events_of(Reply(chunks=["Hel", "lo"]))
        self.end = b"0\r\n\r\n"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0]))
                writer.write(HEAD)
                for event in self.events:
                    writer.write(b"%x\r\n%b\r\n" % (len(event), event))
                    await writer.drain()
                    await asyncio.sleep(0)
                writer.write(self.end)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.open -= 1
            self.closed.set()
        finally:
            writer.close()


@asynccontextmanager
async def keeping(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Keeping, LlmService]]:
    provider = Keeping()
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    for name, value in {"OPENAI_API_BASE": address, "OPENAI_API_KEY": "none", "NO_PROXY": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    yield provider, LlmService({"LLMSPELL_MODEL": "openai/test-model", "OPENAI_API_BASE": address, "OPENAI_API_KEY": "none"})
    server.close()


async def read(service: LlmService) -> Generation:
    generation = service.generation("hi")
    assert [text async for text in generation.texts()] == ["Hel", "lo"]
    return generation


def test_ten_questions_in_turn_go_over_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with keeping(monkeypatch) as (provider, service):
            for _ in range(10):
                assert (await read(service)).finish_reason == "stop"
            assert provider.connections == 1

    asyncio.run(run())


def test_of_many_at_once_to_this_machine_few_connections_stay_open(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with keeping(monkeypatch) as (provider, service):
            await asyncio.gather(*(read(service) for _ in range(20)))
            async with asyncio.timeout(10):
                while provider.open > kept_connections.MOST_NEAR:
                    provider.closed.clear()
                    await provider.closed.wait()
            opened = provider.connections
            for _ in range(10):
                await read(service)
            assert provider.connections == opened  # those that stayed are used

    asyncio.run(run())


class Connection:
    def __init__(self, address: object, *, encrypted: bool = False) -> None:
        self.told = {"server_addr": address, "ssl_object": object() if encrypted else None}

    def get_extra_info(self, name: str) -> object:
        return self.told[name]


@pytest.mark.parametrize(
    ("address", "encrypted", "all_kept"),
    [
        (("192.0.2.7", 443), True, True),
        (("192.0.2.7", 80), False, True),
        (("127.0.0.1", 443), True, True),  # a proxy: the provider behind it is far away
        ("/run/provider.sock", False, True),
        (("127.0.0.1", 80), False, False),
        (("::1", 80, 0, 0), False, False),
    ],
)
def test_all_connections_are_kept_but_those_to_this_machine(address: object, encrypted: bool, all_kept: bool) -> None:
    kept = kept_connections.KeptConnections()
    connections = [Connection(address, encrypted=encrypted) for _ in range(100)]
    taken = [kept.takes(connection) for connection in connections]
    assert sum(taken) == (100 if all_kept else kept_connections.MOST_NEAR)


@pytest.mark.parametrize("end", [b"", b"ffffff\r\n" + b"x" * 100_000], ids=["nothing comes", "too much comes"])
def test_a_body_that_does_not_end_after_its_last_event_holds_up_nobody(monkeypatch: pytest.MonkeyPatch, end: bytes) -> None:
    async def run() -> None:
        async with keeping(monkeypatch) as (provider, service):
            provider.end = end
            async with asyncio.timeout(10):
                assert (await read(service)).finish_reason == "stop"
                await provider.closed.wait()

    monkeypatch.setattr(kept_connections, "REST_S", 0.01)
    asyncio.run(run())


def test_an_answer_that_is_given_up_closes_its_connection_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with keeping(monkeypatch) as (provider, service):
            provider.events, provider.end = events_of(Reply(chunks=["Hel", "lo"], end="hang")), b""
            generation = service.generation("hi")
            async for _ in generation.texts():
                break
            async with asyncio.timeout(10):
                await provider.closed.wait()

    asyncio.run(run())
