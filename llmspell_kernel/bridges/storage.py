"""Bridge `storage`: values by key, and files in a folder of the scripts' own; both outlive the kernel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from msgspec import Meta

from llmspell_kernel import Bridge, BridgeSession, Context, method
from llmspell_kernel.errors import BridgeError, ScriptError
from llmspell_kernel.values import Callback, Value

from ._threads import in_thread

if TYPE_CHECKING:
    from llmspell_kernel.services.storage.jail import Jail
    from llmspell_kernel.services.storage.keys import KeyStore

T = TypeVar("T")
MOST_TRIES = 200
"""Of an update, where others change the same key all the time."""
FILES_AT_ONCE = 4
Key = Annotated[str, Meta(description="any text, such as `notes/today`")]
Path = Annotated[str, Meta(description="names joined by `/`, counted from the scripts' folder")]
Names = list[str]
Found = list[dict[str, Any]]


class Storage(Bridge):
    """Keeps values by key, and files in a folder of the scripts' own; both are there again when the kernel is restarted.

    A call that has returned is on the disk, and one that failed has changed nothing.  Several kernels may work in one folder.
    """

    name = "storage"

    def __init__(self) -> None:
        self._keys: KeyStore | None = None
        self._jail: Jail | None = None
        # A thread for each of a thousand calls would be too many; the keys are one database, which takes one after the other.
        self._key_turn = asyncio.Semaphore(1)
        self._file_turns = asyncio.Semaphore(FILES_AT_ONCE)

    async def open(self, session: BridgeSession) -> None:
        # not at the top: every kernel declares this bridge, few keep anything in their first second
        from llmspell_kernel.services.storage.jail import Jail
        from llmspell_kernel.services.storage.keys import KeyStore

        folder = session.folder.absolute()
        self._keys = KeyStore(folder, lambda: session.files)
        self._jail = Jail(folder, lambda: session.files)

    async def close(self) -> None:
        if self._jail is not None:
            self._jail.close()
        if self._keys is not None:
            await in_thread(self._keys.close)

    @method
    async def get(self, ctx: Context, key: Key, default: Value = None) -> Value:
        """The value kept under a key.

        - default: what is given where there is none
        """
        return await self._keyed(ctx, lambda keys: keys.get(key, default))

    @method(level="write")
    async def set(self, ctx: Context, key: Key, value: Value = None) -> None:
        """Keeps a value under a key, in place of what was there.

        - value: any data; a function, a stream and the like cannot be kept
        """
        await self._keyed(ctx, lambda keys: keys.set(key, value))

    @method(level="write")
    async def delete(self, ctx: Context, key: Key) -> bool:
        """Forgets a key.  Was it there?"""
        return await self._keyed(ctx, lambda keys: keys.delete(key))

    @method
    async def has(self, ctx: Context, key: Key) -> bool:
        """Is a value kept under that key?  It may be nothing."""
        return await self._keyed(ctx, lambda keys: keys.has(key))

    @method
    async def keys(self, ctx: Context, prefix: str = "") -> Names:
        """The keys that are kept, sorted.

        - prefix: only those that begin so
        """
        return await self._keyed(ctx, lambda keys: keys.keys(prefix))

    @method(level="write")
    async def increment(self, ctx: Context, key: Key, by: int | float = 1) -> int | float:
        """Adds to the number kept under a key, 0 where there is none, and gives the sum; no other kernel's addition is lost.

        - by: how much; a negative number takes away
        """
        return await self._keyed(ctx, lambda keys: keys.increment(key, by))

    @method(level="write")
    async def update(self, ctx: Context, key: Key, fn: Callback) -> Value:
        """Keeps what a function makes of the kept value, and gives it; no other kernel's change is lost.

        - fn: is given the value, nothing where there is none, and returns the new one; it may be called again where another kernel has
          changed the value meanwhile
        """
        for _ in range(MOST_TRIES):
            entry = await self._keyed(ctx, lambda keys: keys.entry(key))
            value = await ctx.invoke(fn, entry.value)
            if value is None:
                raise ScriptError("storage.update: the function returned nothing; return the new value, or call storage.delete")
            if await self._replaced(ctx, key, entry.text, value):
                return value
        raise BridgeError(f"storage.update: the value was changed by others {MOST_TRIES} times; try again", code="busy", retryable=True)

    @method(level="write")
    async def clear(self, ctx: Context, prefix: str) -> int:
        """Forgets keys, and says how many.

        - prefix: those that begin so; "" are all
        """
        return await self._keyed(ctx, lambda keys: keys.clear(prefix))

    @method
    async def read(self, ctx: Context, path: Path) -> str | bytes:
        """The whole of a file: a text, or bytes where it is not UTF-8."""
        data = await self._filed(lambda jail: jail.read(path))
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data

    @method(level="write")
    async def write(self, ctx: Context, path: Path, data: bytes) -> None:
        """Puts a file in place of what was there, all at once; folders on the way are made.

        - data: a text, which is written as UTF-8, or bytes
        """
        await self._written(path, data, append=False)

    @method(level="write")
    async def append(self, ctx: Context, path: Path, data: bytes) -> None:
        """Adds to the end of a file, which is made where there is none.

        - data: a text, which is written as UTF-8, or bytes
        """
        await self._written(path, data, append=True)

    @method
    async def list(self, ctx: Context, folder: str = "") -> Found:
        """What lies in a folder, sorted by name: `{name, kind, size_bytes, modified_s}` of each.

        - folder: names joined by `/`; "" is the scripts' folder itself
        """
        return await self._filed(lambda jail: [found._asdict() for found in jail.list(folder)])

    @method
    async def info(self, ctx: Context, path: Path) -> dict[str, Any]:
        """Of a file or a folder: `{name, kind, size_bytes, modified_s}`; `kind` is "file" or "folder", the time in seconds since 1970."""
        return await self._filed(lambda jail: jail.info(path)._asdict())

    @method(level="write")
    async def remove(self, ctx: Context, path: Path) -> bool:
        """Removes a file or an empty folder.  Was it there?"""
        return await self._filed(lambda jail: jail.remove(path))

    @method
    async def exists(self, ctx: Context, path: Path) -> bool:
        """Is there a file or a folder of that name?"""
        return await self._filed(lambda jail: jail.exists(path))

    async def _replaced(self, ctx: Context, key: str, expected: bytes | None, value: Value) -> bool:
        return await self._keyed(ctx, lambda keys: keys.replace(key, expected, value))

    async def _keyed(self, ctx: Context, work: Callable[[KeyStore], T]) -> T:
        keys = self._keys
        assert keys is not None  # the session opens a bridge before its first call
        try:
            async with self._key_turn:
                found: T = await in_thread(work, keys)
                return found
        finally:
            for warning in keys.take_warnings():
                ctx.log("warn", warning, {})

    async def _filed(self, work: Callable[[Jail], T]) -> T:
        assert self._jail is not None
        async with self._file_turns:
            found: T = await in_thread(work, self._jail)
            return found

    async def _written(self, path: str, data: bytes, *, append: bool) -> None:
        """A thread cannot be stopped, but it looks whether anybody still waits before it changes anything."""
        given_up = Event()
        try:
            await self._filed(lambda jail: jail.write(path, data, append=append, given_up=given_up.is_set))
        except asyncio.CancelledError:
            given_up.set()
            raise
