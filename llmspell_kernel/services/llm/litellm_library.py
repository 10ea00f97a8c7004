"""litellm, imported once, late and in a thread: its import takes 3.6 s and 200 MB, and unguarded it calls home and reads `.env`.

Nothing else in the package may import it, so that the guards are always set first.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Future
from importlib import import_module
from threading import Lock, Thread
from typing import Any

from llmspell_kernel.errors import ConfigError

GUARDS = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else a GET to the network at import, 10 s of retries without one
    "LITELLM_MODE": "PRODUCTION",  # else it reads .env from the working folder
    "LITELLM_LOG": "ERROR",
    "LITELLM_TELEMETRY": "False",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "DISABLE_AIOHTTP_TRANSPORT": "True",  # httpx closes a cancelled stream's connection at once and leaves no session open at exit
}


class LitellmLibrary:
    """The import in progress or done; `start` and `module` may be called from any thread, any number of times."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._future: Future[Any] | None = None

    def start(self) -> Future[Any]:
        """Begins the import in a daemon thread (an exit does not wait for it); the same future each time."""
        with self._lock:
            if self._future is None:
                os.environ.update(GUARDS)  # the real one: it is what litellm reads
                self._future = Future()
                Thread(target=_import_into, args=(self._future,), name="import-litellm", daemon=True).start()
            return self._future

    async def module(self) -> Any:
        """The module.  Who is cancelled while waiting leaves the import running for the next."""
        return await asyncio.shield(asyncio.wrap_future(self.start()))


def _import_into(future: Future[Any]) -> None:
    try:
        litellm: Any = import_module("litellm")
        litellm.telemetry = False
        litellm.suppress_debug_info = True
        future.set_result(litellm)
    except ImportError as error:
        mend = "pip install --force-reinstall 'litellm>=1.95,<1.102'"
        failure = ConfigError(f"litellm cannot be imported ({error.name or error}); models outside spell/ need it: {mend}")
        failure.__cause__ = error
        future.set_exception(failure)
    except BaseException as error:
        future.set_exception(error)
