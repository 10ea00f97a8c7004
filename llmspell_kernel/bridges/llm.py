"""The bridge `llm`: language models for scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec

from llmspell_kernel.errors import ArgumentError, BridgeError
from llmspell_kernel.services.llm.models import ChatOptions
from llmspell_kernel.services.llm.objects import ObjectOptions, ObjectRequest
from llmspell_kernel.values import Callback

from ._bridge import Bridge, BridgeSession, Context, Reservation, Resource, method
from ._llm_batches import Batches
from ._llm_comparisons import Comparisons
from ._llm_consensus import Consensus
from ._llm_measures import Measures
from ._llm_parts import Parts
from ._llm_routes import LlmRoutes, check_each

if TYPE_CHECKING:
    from llmspell_kernel.services.llm.generation import Generation
    from llmspell_kernel.services.llm.service import LlmService

# How many pieces of text a stream fetches ahead of a script that reads slowly.
READ_AHEAD = 32


class LlmStream(Resource):
    """An answer as it comes: loop over it, or call `next` until it gives nothing."""

    type = "llm.stream"
    iterate = "next"
    lasting = ("text", "usage")
    shows_text = True

    def __init__(self, ctx: Context, generation: Generation, reservation: Reservation) -> None:
        self._generation = generation
        self._reservation = reservation
        reservation.keep()
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(READ_AHEAD)
        self._ended = False
        self._error: BaseException | None = None
        self._task = asyncio.create_task(self._fill(ctx))

    @method
    async def next(self, ctx: Context) -> str | None:
        """The next piece of text, or nothing at the end.

        Raises the provider's failure, once; the pieces read before it are kept (see `text`).
        """
        if self._ended:
            return None
        piece = await self._queue.get()
        if piece is not None:
            return piece
        self._ended = True
        # Others may wait here at the same time: each passes the end on.
        self._queue.put_nowait(None)
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return None

    @method
    async def text(self, ctx: Context) -> str:
        """The whole text, with what was already read; waits for the rest.

        Raises the provider's failure, once; called again, or after `close`, it gives the text that came until then.
        """
        while await self.next(ctx) is not None:
            pass
        return self._generation.text

    @method
    async def map(self, ctx: Context, fn: Callback) -> list[Any]:
        """What a function makes of each piece of text that is still to come, as a list, once the answer has ended.

        - fn: is called with each piece as it comes

        Raises the provider's failure, and what the function raises, which stops the answer; `text` has what came until then.
        """
        made = []
        try:
            while (piece := await self.next(ctx)) is not None:
                made.append(await ctx.invoke(fn, piece))
        except BaseException:
            await self.release()
            raise
        return made

    @method
    async def usage(self, ctx: Context) -> dict[str, Any]:
        """What the answer used so far; complete once the stream has ended.

        `{model, finish_reason, input_tokens, output_tokens, total_tokens, cached_tokens, cost_usd}`; `finish_reason` is "incomplete" while
        text may still come and when the answer was cut; `cost_usd` is in US dollars, nothing where the price is not known.  `estimated` is true
        while the numbers are a guess from the text, because the provider has not told them.
        """
        generation = self._generation
        return {
            "model": generation.model,
            "finish_reason": generation.finish_reason,
            **_tokens(generation),
            "cost_usd": generation.usage.cost_usd,
            **({"estimated": True} if generation.usage.estimated else {}),
        }

    @method
    async def close(self, ctx: Context) -> None:
        """Stops the answer and closes the connection to its provider.  Closing again does nothing."""
        await self.release()

    async def release(self) -> None:
        self._ended = True
        self._task.cancel()
        await asyncio.wait({self._task})
        self._reservation.release()  # of an answer that nobody began to read
        if self._queue.empty():
            self._queue.put_nowait(None)  # wakes who waits for the next piece; nobody waits at a queue that holds some

    async def _fill(self, ctx: Context) -> None:
        try:
            await _read_all(ctx, self._generation, self._reservation, self._queue)
        except Exception as error:
            # Kept for the reader, who meets it after the text that came before it.
            self._error = error
        await self._queue.put(None)


class Llm(Batches, Comparisons, Consensus, LlmRoutes, Measures, Parts, Bridge):
    """Language models: ask, stream, ask many, compare, measure, choose a model."""

    name = "llm"
    resources = (LlmStream,)

    def __init__(self, service: LlmService | None = None) -> None:
        if service is None:
            # not at the top: every kernel declares this bridge, few ask it anything in their first second
            from llmspell_kernel.services.llm.service import LlmService

            service = LlmService()
        self._service = service
        self._configured = ""

    def configure(self, settings: Mapping[str, Any]) -> None:
        model = str(settings.get("model", ""))
        if model != self._configured:  # else a script's own choice would be lost by any other change
            self._configured = model
            self._service.choose(model)

    async def open(self, session: BridgeSession) -> None:
        self._service.preload()

    @method
    async def chat(self, ctx: Context, prompt: str | list[dict[str, Any]], options: ChatOptions | None = None) -> str:
        """Ask a model; its text streams into the cell's output and is returned.

        `prompt` is a text, or a list of messages `{role, content}` with the roles system, user, assistant and tool.
        Raises BridgeError with the codes missing_key, bad_key, unreachable, rate_limit, timeout, context_length, unknown_model,
        connection_lost, bad_response, server_error and others; `err.retryable` says whether the same call may work later.  Where nothing of
        the answer has come, a call that met a limit of the rate or a failing server is made again, `retries` times, and each time told.
        """
        return (await self._answer(ctx, prompt, options)).text

    @method
    async def complete(self, ctx: Context, prompt: str, max_tokens: int | None = None) -> str:
        """Ask a model for a short text: `chat` with at most `max_tokens` tokens of answer and nothing else to set."""
        if max_tokens is not None and max_tokens < 1:
            raise ArgumentError(f"max_tokens must be at least 1, not {max_tokens}")
        return (await self._answer(ctx, prompt, ChatOptions(max_tokens=max_tokens))).text

    @method(volatile=["latency_ms"])
    async def generate(self, ctx: Context, prompt: str | list[dict[str, Any]], options: ChatOptions | None = None) -> dict[str, Any]:
        """Ask a model, with everything known about the answer.

        `{text, model, finish_reason, usage, cost_usd, latency_ms, tool_calls}` with `usage = {input_tokens, output_tokens, total_tokens,
        cached_tokens}`.
        `finish_reason` is "stop", "length", "tool_calls", "content_filter" or the provider's own word; `cost_usd` is in US dollars, nothing
        where the price is not known; `tool_calls` is a list of `{id, name, arguments}`, `arguments` being a table, or the model's own text
        where that is not valid JSON.  Errors as for `chat`.
        """
        generation = await self._answer(ctx, prompt, options)
        return {
            "text": generation.text,
            "model": generation.model,
            "finish_reason": generation.finish_reason,
            "usage": _tokens(generation),
            "cost_usd": generation.usage.cost_usd,
            "latency_ms": round(generation.latency_s * 1000, 3),
            "tool_calls": [msgspec.structs.asdict(call) for call in generation.tool_calls],
        }

    @method(replay="again")
    async def object(
        self, ctx: Context, prompt: str | list[dict[str, Any]], schema: dict[str, Any], options: ObjectOptions | None = None
    ) -> Any:
        """Ask a model for a value that fits a JSON Schema; the value itself.

        Models that can be held to a schema are; the others are told it.  Malformed JSON (fences, comments, text around it, an end that is
        missing) is repaired.  Where the value does not fit, the model is shown what is wrong, and asked again: `attempts` times in all, each
        of them told.
        - schema: a JSON Schema, as `schema.infer` makes one from an example, or the short form `{name = "string", age = "integer?"}`

        Raises ArgumentError for what is no schema, BridgeError with the code invalid_object where no attempt fits, and what `chat` raises.
        """
        options = options or ObjectOptions()
        asking = await asyncio.to_thread(ObjectRequest, schema, options)
        native = self._service.takes_schema(options.model)
        messages: str | list[dict[str, Any]] = prompt
        for attempt in range(1, asking.attempts + 1):
            text = (await ctx.call("llm", "generate", messages, asking.options(native).given))["text"]
            answer = await asyncio.to_thread(asking.read, text)
            if not answer.problems:
                return answer.value
            told = "; ".join(answer.problems)
            ctx.log(
                "warn", f"attempt {attempt} of {asking.attempts} does not fit the schema: {told}", {"attempt": attempt, "problems": told}
            )
            messages = asking.again(messages, text, answer.problems)
        raise BridgeError(
            f"none of {asking.attempts} answers fits the schema: {told}; the model may be too small for it, or the schema too strict",
            code="invalid_object",
            retryable=True,
        )

    @method
    async def stream(self, ctx: Context, prompt: str | list[dict[str, Any]], options: ChatOptions | None = None) -> LlmStream:
        """Ask a model and take its text piece by piece: loop over the result.

        It reads at most 32 pieces ahead.  A wrong prompt, option or model name is an error here; a failing provider is one where the text
        is read.  Errors as for `chat`.
        """
        self._show_hint(ctx)
        generation = self._service.generation(prompt, options)
        return LlmStream(ctx, generation, await self._reserve(ctx, generation))

    @method
    async def stream_chat(
        self,
        ctx: Context,
        prompt: str | list[dict[str, Any]],
        each: Callback | ChatOptions | None = None,
        options: ChatOptions | None = None,
    ) -> LlmStream | None:
        """`stream` as go-llmspell has it: with a function, that is called with each piece of text, and nothing is returned.

        - each: the function; where it returns false, the answer is stopped.  Without one, this is `stream(prompt, options)`

        Errors as for `chat`.
        """
        if not isinstance(each, Callback):
            return await self.stream(ctx, prompt, each or options)
        stream = await self.stream(ctx, prompt, options)
        try:
            while (piece := await stream.next(ctx)) is not None and await ctx.invoke(each, piece) is not False:
                pass
        finally:
            await stream.release()
        return None

    @method
    async def model(self, ctx: Context) -> str:
        """The name of the model that answers when a call names none."""
        return self._service.model

    @method
    async def set_model(self, ctx: Context, name: str) -> str:
        """Choose the model for the calls that follow, such as "spell/local", "openai/gpt-4o-mini" or "ollama_chat/llama3.2"; its name.

        Raises BridgeError with the code unknown_model, naming the nearest names.  Nothing is sent.
        """
        return self._service.set_model(name)

    @method
    async def provider(self, ctx: Context) -> str:
        """Who answers when a call names no model: "openai", "ollama_chat", or "spell" for the models that need no key."""
        return self._service.provider

    @method
    async def set_provider(self, ctx: Context, name: str, model: str | None = None) -> str:
        """Choose a provider for the calls that follow, and one of its models; the model's name, as `set_model` takes it.

        - model: by default one that is cheap and well known

        Raises BridgeError with the codes unknown_provider and unknown_model, naming the nearest names.  Nothing is sent.
        """
        return self._service.set_provider(name, model)

    @method
    async def list_providers(self, ctx: Context) -> list[str]:
        """The providers that are known, by name."""
        return self._service.list_providers()

    @method
    async def list_models(self, ctx: Context, provider: str | None = None) -> list[str]:
        """The names of models that are known, of one provider or of the one in use; a provider may answer to newer names too.

        Raises BridgeError with the code unknown_provider.  Nothing is sent.
        """
        return self._service.list_models(provider)

    async def _answer(self, ctx: Context, prompt: str | list[dict[str, Any]], options: ChatOptions | None) -> Generation:
        self._show_hint(ctx)
        generation = self._service.generation(prompt, options)
        await _read_all(ctx, generation, await self._reserve(ctx, generation), None)
        return generation

    async def _reserve(self, ctx: Context, generation: Generation) -> Reservation:
        """Raises LimitError and DeniedError before anything is sent."""
        model = await check_each(ctx, self._service, generation.request)
        most = self._service.worst_case(generation.request)
        return await ctx.reserve(
            model=model,
            input_tokens=most.input_tokens,
            output_tokens=most.output_tokens,
            cost_usd=most.cost_usd,
            seconds=generation.limit_s,
        )

    def _show_hint(self, ctx: Context) -> None:
        if hint := self._service.take_hint():
            ctx.write("stderr", f"{hint}\n")


async def _read_all(ctx: Context, generation: Generation, reservation: Reservation, queue: asyncio.Queue[str | None] | None) -> None:
    """Reads an answer to its end, shows it, passes it on, and reports what it used, once, however it ends."""
    retries: list[Reservation] = []

    async def reserve_retry() -> None:
        retries.append(await ctx.reserve(model=generation.model, cost_usd=0.0))

    generation.on_retry = lambda retry: ctx.retried(**retry._asdict())
    generation.before_retry = reserve_retry
    asked_s, generation.limit_s = generation.limit_s, min(generation.limit_s, reservation.seconds)
    pieces = ctx.pieces()

    async def take(text: str) -> None:
        if text:
            ctx.chunk(text)
            if queue is not None:
                await queue.put(text)

    try:
        async with aclosing(generation.texts()) as texts:
            async for text in texts:
                await take(pieces.feed(text))
        await take(pieces.end())
    except Exception as error:
        await take(pieces.end())  # what came before the failure is kept
        if isinstance(error, BridgeError) and error.code == "timeout" and generation.limit_s < asked_s:
            raise reservation.out_of_time() from error
        raise
    finally:
        used = generation.usage
        ctx.usage(
            model=generation.model,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            cached_tokens=used.cached_tokens,
            cost_usd=used.cost_usd,
            attempts=generation.attempts,
            finish_reason=generation.finish_reason,
            seconds=generation.waited_s,
        )
        for retry in retries:  # they count among the attempts
            retry.release()


def _tokens(generation: Generation) -> dict[str, int]:
    used = generation.usage
    return {
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "total_tokens": used.input_tokens + used.output_tokens,
        "cached_tokens": used.cached_tokens,
    }
