"""The bridge `storage`, and what a session makes of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from llmspell_kernel import Session, Settings
from llmspell_kernel.bridges._declaration import declare
from llmspell_kernel.bridges.storage import MOST_TRIES, Storage
from llmspell_kernel.errors import BridgeError, DeniedError, LimitError, ScriptError
from llmspell_kernel.journal.events import CallFailed
from llmspell_kernel.policy.files import FilePolicy
from llmspell_kernel.policy.presets import FILES
from llmspell_kernel.services.storage import whole_files
from llmspell_kernel.services.storage.jail import Jail
from llmspell_kernel.services.storage.keys import KeyStore
from llmspell_kernel.testing.context import FakeBridgeSession, FakeContext
from llmspell_kernel.values import Callback, Value

T = TypeVar("T")
METHODS = declare(Storage).methods


def with_storage(folder: Path, work: Callable[[Storage, FakeContext], Awaitable[T]], context: FakeContext | None = None, **rules: Any) -> T:
    async def run() -> T:
        bridge = Storage()
        await bridge.open(FakeBridgeSession(folder=folder, files=FilePolicy()._replace(**rules)))
        try:
            return await work(bridge, context or FakeContext())
        finally:
            await bridge.close()

    return asyncio.run(run())


def test_what_changes_something_has_the_level_write() -> None:
    writing = {name for name, method in METHODS.items() if method.level == "write"}
    assert writing == {"set", "delete", "increment", "update", "clear", "write", "append", "remove"}
    assert {method.level for method in METHODS.values()} == {"read", "write"}


def test_the_strict_preset_names_every_method_of_files() -> None:
    keys = {"get", "set", "delete", "has", "keys", "increment", "update", "clear"}
    assert {f"storage.{name}" for name in METHODS.keys() - keys} == set(FILES)


@pytest.mark.parametrize(("written", "read"), [("text \u00e9", "text \u00e9"), (b"text", "text"), (b"\xff\x00", b"\xff\x00"), ("", "")])
def test_a_file_is_a_text_where_it_can_be(tmp_path: Path, written: Any, read: Any) -> None:
    async def work(storage: Storage, ctx: FakeContext) -> Any:
        await storage.write(ctx, *METHODS["write"].bind(["a", written]))
        return await storage.read(ctx, "a")

    assert with_storage(tmp_path, work) == read


def test_an_update_is_made_of_what_is_kept_at_that_moment(tmp_path: Path) -> None:
    other = KeyStore(tmp_path, FilePolicy)
    seen: list[Value] = []

    def add(value: Value) -> Value:
        seen.append(value)
        if len(seen) < 4:
            other.increment("a", 10)  # another kernel, between our reading and our writing
        return (value or 0) + 1

    context = FakeContext(functions={1: add})
    assert with_storage(tmp_path, lambda storage, ctx: storage.update(ctx, "a", Callback(1)), context) == 31
    assert seen == [None, 10, 20, 30] and other.get("a") == 31


def test_an_update_that_never_finds_a_quiet_moment_gives_up_and_may_be_tried_again(tmp_path: Path) -> None:
    other = KeyStore(tmp_path, FilePolicy)
    context = FakeContext(functions={1: lambda value: other.increment("a") + 0.5})
    with pytest.raises(BridgeError) as caught:
        with_storage(tmp_path, lambda storage, ctx: storage.update(ctx, "a", Callback(1)), context)
    assert caught.value.retryable and other.get("a") == MOST_TRIES


def test_an_update_that_returns_nothing_changes_nothing(tmp_path: Path) -> None:
    KeyStore(tmp_path, FilePolicy).set("a", 1)
    with pytest.raises(ScriptError, match="returned nothing"):
        with_storage(tmp_path, lambda storage, ctx: storage.update(ctx, "a", Callback(1)), FakeContext(functions={1: lambda value: None}))
    assert KeyStore(tmp_path, FilePolicy).get("a") == 1


def test_a_damaged_database_is_told_of_once_in_the_script_s_log(tmp_path: Path) -> None:
    (tmp_path / ".llmspell").mkdir()
    (tmp_path / ".llmspell" / "storage.sqlite").write_bytes(b"damaged" * 99)

    async def work(storage: Storage, ctx: FakeContext) -> None:
        assert await storage.get(ctx, "a", "default") == "default"
        await storage.set(ctx, "a", 1)
        assert await storage.get(ctx, "a") == 1

    context = FakeContext()
    with_storage(tmp_path, work, context)
    ((level, message, _),) = context.of("log")
    assert level == "warn" and "storage.sqlite.corrupt-" in message and str(tmp_path) not in message


def test_a_cancelled_write_changes_nothing_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Jail(tmp_path, FilePolicy).write("a", b"old")
    reached, go_on, ended = asyncio.Event(), threading.Event(), threading.Event()
    fsync = whole_files.os.fsync

    async def work(storage: Storage, ctx: FakeContext) -> None:
        loop = asyncio.get_running_loop()

        def slow_disk(descriptor: int) -> None:
            loop.call_soon_threadsafe(reached.set)
            go_on.wait(10)
            fsync(descriptor)

        whole = Jail.write

        def noticed(*args: Any, **named: Any) -> None:
            try:
                whole(*args, **named)
            finally:
                ended.set()

        monkeypatch.setattr(Jail, "write", noticed)
        monkeypatch.setattr(whole_files.os, "fsync", slow_disk)
        call = asyncio.create_task(storage.write(ctx, "a", b"new"))
        await reached.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        go_on.set()

    with_storage(tmp_path, work)
    assert ended.wait(10)
    assert [path.name for path in (tmp_path / "llmspell-files").iterdir()] == ["a"]
    assert (tmp_path / "llmspell-files" / "a").read_bytes() == b"old"


def test_the_event_loop_goes_on_while_the_disk_is_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    async def work(storage: Storage, ctx: FakeContext) -> None:
        await storage.set(ctx, "key", 0)
        monkeypatch.setattr(whole_files.os, "fsync", lambda _: go_on.wait(10))
        call = asyncio.create_task(storage.write(ctx, "a", b"new"))
        await storage.set(ctx, "key", 1)  # needs the loop
        assert not call.done()
        go_on.set()
        await call

    with_storage(tmp_path, work)


def test_a_thousand_calls_at_once_are_all_answered(tmp_path: Path) -> None:
    async def work(storage: Storage, ctx: FakeContext) -> Any:
        await storage.write(ctx, "a", b"x")
        await storage.set(ctx, "a", 1)
        return await asyncio.gather(*[storage.read(ctx, "a") for _ in range(500)], *[storage.get(ctx, "a") for _ in range(500)])

    assert with_storage(tmp_path, work) == ["x"] * 500 + [1] * 500


# in a session


async def value_of(session: Session, code: str, engine: str = "lua") -> Any:
    result = await session.run(code, engine=engine)
    result.raise_for_error()
    return result.values[0] if result.values else None


def test_a_later_session_finds_what_an_earlier_one_kept(tmp_path: Path) -> None:
    async def keep() -> None:
        async with Session(folder=tmp_path) as session:
            await value_of(session, 'storage.set("a", {list = {1, 2.5, "x"}}) storage.write("notes/a.txt", "text")')

    async def find() -> Any:
        async with Session(folder=tmp_path) as session:
            return await value_of(session, "[await storage.get('a'), await storage.read('notes/a.txt')]", "javascript")

    asyncio.run(keep())
    assert asyncio.run(find()) == [{"list": [1, 2.5, "x"]}, "text"]


def test_two_sessions_in_one_folder_lose_no_update(tmp_path: Path) -> None:
    lua = 'for i = 1, 50 do storage.increment("n") storage.update("m", function(m) return (m or 0) + 1 end) end'
    javascript = "for (let i = 0; i < 50; i++) { await storage.increment('n'); await storage.update('m', m => (m ?? 0) + 1); }"

    async def both() -> Any:
        async with Session(folder=tmp_path) as first, Session(folder=tmp_path) as second:
            await asyncio.gather(value_of(first, lua), value_of(second, javascript, "javascript"))
            return [await first.call_bridge("storage", "get", name) for name in "nm"]

    assert asyncio.run(both()) == [100, 100]


def test_python_code_keeps_and_finds_as_scripts_do(tmp_path: Path) -> None:
    async def run() -> Any:
        async with Session(folder=tmp_path) as session:
            await session.call_bridge("storage", "set", "a", {"x": (1, 2)})
            await session.call_bridge("storage", "write", "f", b"\xff")
            return await value_of(session, 'return { storage.get("a").x[2], storage.has("b"), storage.info("f").size_bytes }')

    assert asyncio.run(run()) == [2, False, 1]


def test_settings_hold_from_the_next_call_on(tmp_path: Path) -> None:
    async def run() -> None:
        async with Session(folder=tmp_path) as session:
            await value_of(session, 'storage.write("a", "x") storage.set("a", 1)')
            session.configure(Settings(files={"read_only": True}))
            for code in ('storage.write("a", "y")', 'storage.set("a", 2)'):
                with pytest.raises(DeniedError, match=r"files\.read_only"):
                    await value_of(session, code)
            session.configure(Settings(files={"max_file_bytes": 1, "root": "others"}))
            with pytest.raises(LimitError, match=r"files\.max_file_bytes"):
                await value_of(session, 'storage.write("a", "yy")')
            await value_of(session, 'storage.write("a", "y")')

    asyncio.run(run())
    assert ((tmp_path / "llmspell-files" / "a").read_text(), (tmp_path / "others" / "a").read_text()) == ("x", "y")


def test_under_strict_no_file_is_touched_and_keys_may_be_read(tmp_path: Path) -> None:
    async def run() -> Any:
        async with Session(folder=tmp_path, settings=Settings(preset="strict", confinement="auto")) as session:
            for code in ('storage.write("a", "x")', 'storage.read("a")', 'storage.set("a", 1)'):
                with pytest.raises(DeniedError):
                    await session.call_bridge("storage", code.split(".")[1].split("(")[0], "a", *(["x"] if "," in code else []))
            return await session.call_bridge("storage", "get", "a", 5)

    assert asyncio.run(run()) == 5
    assert list(tmp_path.iterdir()) == []


def test_a_warning_of_a_damaged_database_is_seen_in_the_cell(tmp_path: Path) -> None:
    (tmp_path / ".llmspell").mkdir()
    (tmp_path / ".llmspell" / "storage.sqlite").write_bytes(b"")

    async def run() -> tuple[str, str]:
        async with Session(folder=tmp_path) as session:
            first = await session.run('storage.get("a")', engine="lua")
            second = await session.run('storage.get("a")', engine="lua")
            assert not [event for event in session.recorder if isinstance(event, CallFailed)]
            return first.output, second.output

    first, second = asyncio.run(run())
    assert "set aside as storage.sqlite.corrupt-" in str(first) and "corrupt" not in str(second)


def test_declaring_the_bridge_loads_no_database(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import llmspell_kernel.bridges.storage, sys; print(sorted({'sqlite3', 'llmspell_kernel.services.storage.jail'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
