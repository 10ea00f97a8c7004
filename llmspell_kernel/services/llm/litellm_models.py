"""Every model outside `spell/`: any name litellm knows, streamed."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from llmspell_kernel.errors import BridgeError

from .catalogue import Catalogue
from .estimate import RunningUsage
from .kept_connections import KeptConnections
from .litellm_errors import Failure, bad_response, bridge_error, connection_lost, missing_key, too_large
from .litellm_library import LitellmLibrary
from .models import AT_ONCE, Delta, Request, Usage
from .prices import known_cost
from .providers import missing_keys, provider_named
from .wire import ToolCallParts, chat_body

# The client behind litellm gets a little more time than we give, so that the timeout a user sees is always ours.
CLIENT_EXTRA_S = 5.0
MAX_EVENTS = 200_000
"""Of one answer.  The longest answers have some ten thousand; litellm keeps each, so that an endless stream of empty ones takes gigabytes."""
MAX_ARGUMENT_CHARS = 4_000_000
MAX_GUESSED = 1_000
LISTENERS = ("callbacks", "success_callback", "_async_success_callback")
"""Where litellm keeps who is told of each answer."""


class LitellmModel:
    """One name.  Keys and addresses come from the environment as it is at each call: a notebook may set them late."""

    def __init__(
        self,
        name: str,
        library: LitellmLibrary,
        catalogue: Callable[[], Catalogue],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._name = name
        self._library = library
        self._catalogue = catalogue
        self._environ = environ
        self._litellm: Any = None
        self._connections = KeptConnections()
        self._guessed: dict[tuple[int, int], float | None] = {}
        """Prices of so many tokens: of many short prompts at once, asking litellm for each would be a hundredth of all the work."""

    async def prepare(self) -> None:
        """Raises BridgeError `unknown_model` or `missing_key` before the slow import."""
        provider = self._catalogue().provider_of(self._name)
        if missing := missing_keys(provider, self._environ):
            raise missing_key(self._name, missing)
        self._litellm = await self._library.module()
        if provider_named(provider) is None and (missing := self._keys_litellm_misses()):
            raise missing_key(self._name, missing)

    def turn(self) -> AbstractAsyncContextManager[None]:
        return AT_ONCE

    async def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        source: Any = None
        started = False
        try:
            source = await self._litellm.acompletion(
                model=self._name,
                messages=request.messages,
                stream=True,
                stream_options={"include_usage": True},
                timeout=request.options.timeout_s + CLIENT_EXTRA_S,
                max_retries=0,  # a retry is the script's decision, and `attempts` in the ledger must be true
                num_retries=0,
                **chat_body(request.options),
            )
            self._connections.keep(source)
            running = RunningUsage(request.messages, self._price_of)
            yield Delta(usage=running.usage)  # it has taken the question, which is paid for whatever becomes of the answer
            parts = ToolCallParts()
            events = 0
            finish = ""
            usage = None
            async for chunk in source:
                started = True
                events += 1
                if events > MAX_EVENTS:
                    raise too_large(self._name, f"{MAX_EVENTS} events")
                usage = getattr(chunk, "usage", None) or usage
                if _has_said_all(source) and not self._is_logged():
                    break
                if not chunk.choices:
                    continue
                choice = chunk.choices[0]
                parts.add(choice.delta.tool_calls)
                if parts.chars > MAX_ARGUMENT_CHARS:
                    raise too_large(self._name, f"{MAX_ARGUMENT_CHARS} characters of tool calls")
                finish = choice.finish_reason or finish
                if choice.delta.content:
                    running.add(choice.delta.content)
                    yield Delta(text=choice.delta.content, usage=running.usage)
            if _cut(source):
                came = running.usage.output_tokens or parts.chars
                raise connection_lost(self._name) if came else bad_response(self._name)
            yield Delta(tool_calls=parts.whole(), finish_reason=finish, usage=self._usage(usage))
        except BridgeError:
            raise
        except Exception as error:
            raise bridge_error(error, self._failure(started)) from error
        finally:
            if source is not None:
                await source.aclose()

    def _usage(self, usage: Any) -> Usage | None:
        if usage is None:  # then what was estimated stands
            return None
        details = getattr(usage, "prompt_tokens_details", None)
        cached = getattr(details, "cached_tokens", None) or 0
        return Usage(usage.prompt_tokens or 0, usage.completion_tokens or 0, cached, self._price(usage))

    def _price(self, usage: Any) -> float | None:
        return self._cost(usage_object=usage)

    def _price_of(self, input_tokens: int, output_tokens: int) -> float | None:
        asked = input_tokens, output_tokens
        if asked not in self._guessed:
            if len(self._guessed) >= MAX_GUESSED:
                self._guessed.clear()
            self._guessed[asked] = self._cost(prompt_tokens=input_tokens, completion_tokens=output_tokens)
        return self._guessed[asked]

    def _cost(self, **used: Any) -> float | None:
        try:
            cost = float(sum(self._litellm.cost_per_token(model=self._name, **used)))
            return known_cost(cost, self._name, self._litellm.model_cost)
        except Exception:  # litellm raises a bare Exception for a model without a price, and an unknown price is None, not an error
            return None

    def _keys_litellm_misses(self) -> tuple[str, ...]:
        """For providers we hold no table of: litellm's own check, believed only where a single key is asked for."""
        missing = self._litellm.validate_environment(self._name)["missing_keys"]
        return tuple(missing) if len(missing) == 1 and missing[0].endswith(("_API_KEY", "_API_TOKEN")) else ()

    def _is_logged(self) -> bool:
        """Does the user's own Python have litellm tell of each answer?  Then it is read until litellm has done so."""
        return any(getattr(self._litellm, name, None) for name in LISTENERS)

    def _failure(self, started: bool) -> Failure:
        return Failure(self._name, self._catalogue(), self._environ, started)


def _has_said_all(source: Any) -> bool:
    """Was its piece with the usage the last?  litellm makes that one when the provider's stream has ended.  Who asks for another has it put the
    whole answer together once more and price it twice, for loggers: a seventh of all its work."""
    return getattr(source, "sent_stream_usage", False) is True


def _cut(source: Any) -> bool:
    """Whether the stream ended without the provider saying so: litellm then makes up a "stop" that it never received."""
    return getattr(source, "received_finish_reason", "") is None and getattr(source, "intermittent_finish_reason", "") is None
