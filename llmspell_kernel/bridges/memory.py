"""Bridge `memory`: conversations that outlive the kernel, with what of them fits a model, summaries and search."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from llmspell_kernel.errors import ArgumentError, BridgeError, ScriptError

from ._bridge import Bridge, BridgeSession, Context, Resource, method
from ._threads import in_thread

if TYPE_CHECKING:
    from llmspell_kernel.services.memory.conversations import Conversations

T = TypeVar("T")
Table = dict[str, Any]
Tables = list[dict[str, Any]]
MOST_FOUND = 100
MOST_AT_ONCE = 1_000
"""Messages in one call."""
MOST_BY_MEANING, MOST_CHARS_BY_MEANING = 500, 400_000
"""The newest messages that are compared by meaning, as each search sends them to a model."""
EMBEDDED_AT_ONCE = 160
"""As `llm.embed` takes them of the models that are in use, whose vectors have up to 3,072 numbers."""
SUMMARIZED_TOKENS = 8_000
"""In one question to a model."""
MOST_ROUNDS = 20
Name = Annotated[str, Meta(description="1 to 100 characters without a slash")]
Tokens = Annotated[int, Meta(ge=16, le=10_000_000)]
Most = Annotated[int, Meta(ge=1, le=MOST_FOUND)]


class ConversationOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a conversation is given to models.

    - max_tokens: how many tokens `messages` may give, a token being taken for four bytes
    - summarize: has `messages` summarize what does not fit, instead of leaving it out
    - model: the model that summarizes; else the session's
    """

    max_tokens: Tokens = 4_000
    summarize: bool = False
    model: str | None = None


class SearchOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to search.

    - by: "words", or "meaning" by embeddings of a model
    """

    by: Literal["words", "meaning"] = "words"


class Conversation(Resource):
    """A conversation with a name; its messages are kept in the project's folder."""

    type = "memory.conversation"

    def __init__(self, name: str, options: ConversationOptions) -> None:
        self._name = name
        self._options = options

    @method(replay="again")
    async def name(self, ctx: Context) -> str:
        """Its name."""
        return self._name

    @method(replay="again")
    async def add(self, ctx: Context, role: str | list[dict[str, Any]], text: str = "") -> int:
        """Add a message, or several at once; the number of the last one.

        - role: user, assistant, system or tool; or a list of {role, content} tables, which are added all or none
        """
        messages = [{"role": role, "content": text}] if isinstance(role, str) else role
        return int(await ctx.call("memory", "append", self._name, messages))

    @method(replay="again")
    async def messages(self, ctx: Context) -> list[dict[str, str]]:
        """The newest messages that fit into `max_tokens`, as models take them: `{role, content}` of each, oldest first.

        A summary, where there is one, comes first as a system message.  With `summarize`, what does not fit is summarized before.
        """
        found = await self._recent(ctx)
        if self._options.summarize and found["left_out"]:
            await self._summarized(ctx)
            found = await self._recent(ctx)
        return list(found["messages"])

    @method(replay="again")
    async def search(self, ctx: Context, query: str, limit: Most = 5, options: SearchOptions | None = None) -> list[dict[str, Any]]:
        """Find messages: `{number, role, text, score}` of each, the likeliest first.

        By words, those that have any of the query's words, without regard to case and accents.  By meaning, the newest 500 messages are
        compared with the query by embeddings, which asks a model each time.  Raises BridgeError with the code `no_embedding_model` where no
        model can make them.
        """
        if (options or SearchOptions()).by == "words":
            return list(await ctx.call("memory", "find", self._name, query, limit))
        return await self._nearest(ctx, query, limit)

    @method(replay="again")
    async def summarize(self, ctx: Context) -> str:
        """Have a model summarize all but the newest messages, those that fit into half of `max_tokens`; the summary, "" where there is none.

        The messages stay, and are found by `search`; `messages` gives the summary in their place.
        """
        return await self._summarized(ctx)

    @method(replay="again")
    async def fork(self, ctx: Context, name: Name) -> Conversation:
        """A copy under another name, with the same options.  Raises ScriptError with the code `exists` for a name that has messages."""
        await ctx.call("memory", "duplicate", self._name, name)
        return Conversation(name, self._options)

    @method(replay="again")
    async def clear(self, ctx: Context) -> int:
        """Forget its messages and its summary; how many messages they were."""
        return int(await ctx.call("memory", "forget", self._name))

    @method(replay="again")
    async def count(self, ctx: Context) -> int:
        """How many messages it has."""
        return int(await ctx.call("memory", "size", self._name))

    async def _recent(self, ctx: Context) -> dict[str, Any]:
        found: dict[str, Any] = await ctx.call("memory", "recent", self._name, self._options.max_tokens)
        return found

    async def _summarized(self, ctx: Context) -> str:
        from llmspell_kernel.services.memory.conversations import SUMMARY

        for _ in range(MOST_ROUNDS):
            found = await ctx.call("memory", "older", self._name, self._options.max_tokens // 2)
            if not found["messages"]:
                break
            told = [f"{message['role']}: {message['content']}" for message in found["messages"]]
            before = [SUMMARY + found["summary"]] if found["summary"] else []
            asked = "Summarize this conversation for someone who goes on with it: names, facts, decisions and open questions, in a few sentences."
            options = {} if self._options.model is None else {"model": self._options.model}
            answer = await ctx.call("llm", "generate", "\n\n".join([asked, *before, *told]), options)
            text = str(answer["text"]).strip()
            if not text:
                raise BridgeError("the model gave an empty summary; what was to be summarized stays as it is", code="bad_response")
            # as many bytes as tokens: a quarter of what may be given, since the newest messages need room
            short = text.encode()[: self._options.max_tokens].decode("utf-8", "ignore")
            await ctx.call("memory", "keep_summary", self._name, short, found["through"])
        return str((await self._recent(ctx))["summary"])

    async def _nearest(self, ctx: Context, query: str, limit: int) -> list[dict[str, Any]]:
        from llmspell_kernel.services.memory.meaning import nearness, vectors_of

        messages = await ctx.call("memory", "newest", self._name)
        if not messages:
            return []
        texts = [query, *(message["text"] for message in messages)]
        answers: list[Any] = []
        for start in range(0, len(texts), EMBEDDED_AT_ONCE):
            answers += await _embedded(ctx, texts[start : start + EMBEDDED_AT_ONCE])
        wanted, *others = vectors_of(answers, len(texts))
        scored = [{**message, "score": nearness(wanted, vector)} for message, vector in zip(messages, others, strict=True)]
        return sorted(scored, key=lambda message: (-message["score"], -message["number"]))[:limit]


class Memory(Bridge):
    """Conversations that outlive the kernel; they are kept with the values of `storage`, in the project's folder."""

    name = "memory"
    resources = (Conversation,)

    def __init__(self) -> None:
        self._kept: Conversations | None = None
        self._turn = asyncio.Semaphore(1)
        """So that calls that wait have no thread each."""
        self._alone = threading.Lock()
        """Held in the thread: that of a call that was stopped works on, and the next one has its turn already."""

    async def open(self, session: BridgeSession) -> None:
        # not at the top: every kernel declares this bridge, few remember anything in their first second
        from llmspell_kernel.services.memory.conversations import Conversations

        self._kept = Conversations(session.folder.absolute(), lambda: session.files)

    async def close(self) -> None:
        if self._kept is not None:
            await in_thread(self._alone_with, self._kept.close)

    @method(replay="again")
    async def conversation(self, ctx: Context, name: Name, options: ConversationOptions | None = None) -> Conversation:
        """A conversation by its name; a new one is there once it has a message."""
        await ctx.call("memory", "size", name)
        return Conversation(name, options or ConversationOptions())

    @method
    async def list(self, ctx: Context) -> Tables:
        """The conversations that are kept, by name: `{name, count}` of each."""
        names = await self._do(ctx, lambda kept: kept.names())
        return [{"name": name, "count": count} for name, count in names.items()]

    @method(level="write")
    async def remove(self, ctx: Context, name: Name) -> bool:
        """Forget a conversation.  Was it there?"""
        return await self._do(ctx, lambda kept: kept.clear(name)) > 0

    @method(inner=True, level="write")
    async def append(self, ctx: Context, name: str, messages: Tables) -> int:
        """Adds messages `{role, content}`, all or none; the number of the last one."""
        if not 1 <= len(messages) <= MOST_AT_ONCE:
            raise ArgumentError(f"at least one and at most {MOST_AT_ONCE:,} messages are added at once")
        pairs = [_pair(message, at) for at, message in enumerate(messages, 1)]
        return await self._do(ctx, lambda kept: kept.add(name, pairs))

    @method(inner=True)
    async def recent(self, ctx: Context, name: str, max_tokens: int) -> dict[str, Any]:
        """The newest that fit, as models take them, with the summary first: `{summary, messages, left_out}`."""
        from llmspell_kernel.services.memory.conversations import SUMMARY

        summary, messages, left_out = await self._do(ctx, lambda kept: kept.fitting(name, max_tokens))
        first = [{"role": "system", "content": SUMMARY + summary.text}] if summary.text else []
        return {"summary": summary.text, "messages": [*first, *(message.prompt for message in messages)], "left_out": left_out}

    @method(inner=True)
    async def older(self, ctx: Context, name: str, max_tokens: int) -> dict[str, Any]:
        """What is to be summarized next: `{summary, messages, through}`."""
        summary, messages = await self._do(ctx, lambda kept: kept.older(name, max_tokens, SUMMARIZED_TOKENS))
        through = messages[-1].number if messages else summary.through
        return {"summary": summary.text, "messages": [message.prompt for message in messages], "through": through}

    @method(inner=True, level="write")
    async def keep_summary(self, ctx: Context, name: str, text: str, through: int) -> None:
        """Keeps a summary of the messages up to a number."""
        await self._do(ctx, lambda kept: kept.keep_summary(name, text, through))

    @method(inner=True)
    async def find(self, ctx: Context, name: str, query: str, limit: int) -> Tables:
        """By words."""
        found = await self._do(ctx, lambda kept: kept.search(name, query, limit))
        return [{**message._asdict(), "score": score} for message, score in found]

    @method(inner=True)
    async def newest(self, ctx: Context, name: str) -> Tables:
        """Those that are compared by meaning."""
        found, left = [], MOST_CHARS_BY_MEANING
        for message in reversed(await self._do(ctx, lambda kept: kept.newest(name, MOST_BY_MEANING))):
            if (left := left - len(message.text)) < 0:
                break
            found.append(message._asdict())
        return found[::-1]

    @method(inner=True, level="write")
    async def duplicate(self, ctx: Context, name: str, new: str) -> int:
        """Copies a conversation."""
        return await self._do(ctx, lambda kept: kept.copy(name, new))

    @method(inner=True, level="write")
    async def forget(self, ctx: Context, name: str) -> int:
        """Forgets the messages."""
        return await self._do(ctx, lambda kept: kept.clear(name))

    @method(inner=True)
    async def size(self, ctx: Context, name: str) -> int:
        """How many messages there are."""
        return await self._do(ctx, lambda kept: kept.count(name))

    async def _do(self, ctx: Context, work: Callable[[Conversations], T]) -> T:
        kept = self._kept
        assert kept is not None  # the session opens a bridge before its first call
        try:
            async with self._turn:
                found: T = await in_thread(self._alone_with, work, kept)
                return found
        finally:
            for warning in kept.take_warnings():
                ctx.log("warn", warning, {})

    def _alone_with(self, work: Callable[..., T], *args: Any) -> T:
        with self._alone:
            return work(*args)


async def _embedded(ctx: Context, texts: list[str]) -> list[Any]:
    try:
        answer = await ctx.call("llm", "embed", texts)
    except ScriptError as error:
        if error.code not in ("unknown", "no_embedding_model"):  # no such method, or no model that suits
            raise
        told = f"no model here makes embeddings, which a search by meaning needs; search by words ({error.message})"
        raise BridgeError(told, code="no_embedding_model") from error
    return list(answer)


def _pair(message: Table, at: int) -> tuple[str, str]:
    match message:
        case {"role": str(role), "content": str(text)}:
            return role, text
    raise ArgumentError(f"message {at} must be a table {{role, content}} of two texts")
