"""A provider on the loopback for kernels in processes of their own: it serves from a thread, as a test waits in its own."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from llmspell_kernel.testing.openai_server import OpenAIServer, Reply


class ProviderThread:
    """`left` is set when a client closed its connection before its answer was complete."""

    def __init__(self, default: Reply) -> None:
        self._default = default
        self.left = threading.Event()
        self.address = ""
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)
        self._end: asyncio.Event | None = None
        self.server: Any = None

    @property
    def serving(self) -> bool:
        """Is an answer on its way?"""
        return bool(self.server.serving)

    def __enter__(self) -> ProviderThread:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._end is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        async with OpenAIServer(self._default) as self.server:
            self.address = self.server.address
            self._ready.set()
            watch = asyncio.create_task(self._watch())
            await self._end.wait()
            watch.cancel()

    async def _watch(self) -> None:
        while True:
            await self.server.left.wait()
            self.server.left.clear()
            self.left.set()
