"""Conversations from both languages: kept over sessions, fitted, summarized, searched, replayed and restored."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel import Bridge, Context, method
from llmspell_kernel.bridges.llm import Llm
from llmspell_kernel.bridges.memory import Memory
from llmspell_kernel.errors import ArgumentError, BridgeError, DeniedError, LimitError, ScriptError, SpellError
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.session import Session
from llmspell_kernel.settings import Settings
from llmspell_kernel.values import Value

from ..session.world import Recording
from .test_hooks import every_engine, kill, run

OPEN = ("c = memory.conversation('talk')", "var c = await memory.conversation('talk')")
FILL = (
    "c:add('user', 'I am Ann from Lyon'); c:add('assistant', 'Hello Ann'); return c:add('user', 'Where am I from?')",
    "await c.add('user', 'I am Ann from Lyon'); await c.add('assistant', 'Hello Ann'); await c.add('user', 'Where am I from?')",
)
ALL = ("c:messages()", "await c.messages()")


@asynccontextmanager
async def remembering(
    folder: Path, *answers: str, bridges: tuple[Bridge, ...] = (), **options: Any
) -> AsyncIterator[tuple[Session, LlmService]]:
    service = LlmService({"LLMSPELL_MODEL": "spell/scripted"}, local_installed=False)
    service.scripted.load(answers)
    async with Session(sink=Recording(), bridges=[*(bridges or (Llm(service),))], folder=folder, **options) as session:
        yield session, service


@every_engine
def test_a_conversation_is_there_again_in_the_next_session(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with remembering(tmp_path) as (session, _):
            await run(session, engine, *OPEN)
            assert await run(session, engine, *FILL) == [3]
        async with remembering(tmp_path) as (session, _):
            await run(session, engine, *OPEN)
            (messages,) = await run(session, engine, *ALL)
            assert [message["content"] for message in messages] == ["I am Ann from Lyon", "Hello Ann", "Where am I from?"]  # type: ignore[index,union-attr,call-overload]
            assert await run(session, engine, "memory.list()", "await memory.list()") == [[{"name": "talk", "count": 3}]]
            assert await run(session, engine, "memory.remove('talk')", "await memory.remove('talk')") == [True]
            assert await run(session, engine, "#memory.list()", "(await memory.list()).length") == [0]
            assert await run(session, engine, "c:count()", "await c.count()") == [0]

    asyncio.run(play())


@every_engine
def test_messages_are_those_that_fit_and_the_newest_ones(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with remembering(tmp_path) as (session, _):
            await run(
                session,
                engine,
                "c = memory.conversation('talk', {max_tokens = 20})",
                "var c = await memory.conversation('talk', {maxTokens: 20})",
            )
            await run(session, engine, *FILL)
            assert await run(session, engine, *ALL) == [
                [{"role": "assistant", "content": "Hello Ann"}, {"role": "user", "content": "Where am I from?"}]
            ]
            await run(session, engine, f"c:add('user', '{'x' * 1000}END')", f"await c.add('user', '{'x' * 1000}END')")
            ((message,),) = await run(session, engine, *ALL)  # type: ignore[misc]
            assert message["content"].endswith("END") and len(message["content"]) <= 80  # type: ignore[index,union-attr,call-overload,arg-type]

    asyncio.run(play())


@every_engine
def test_what_does_not_fit_is_summarized_once_and_stays_to_be_found(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with remembering(tmp_path, "Ann is from Lyon.") as (session, service):
            await run(
                session,
                engine,
                "c = memory.conversation('talk', {max_tokens = 40, summarize = true})",
                "var c = await memory.conversation('talk', {maxTokens: 40, summarize: true})",
            )
            await run(session, engine, *FILL)
            await run(
                session,
                engine,
                "c:add('assistant', 'You are from Lyon, you said so to me just now, did you not?')",
                "await c.add('assistant', 'You are from Lyon, you said so to me just now, did you not?')",
            )
            for _ in range(2):
                (messages,) = await run(session, engine, *ALL)
                assert messages[0] == {"role": "system", "content": "Summary of the conversation so far: Ann is from Lyon."}  # type: ignore[index,call-overload]
                assert "Where am I" not in str(messages)
            assert len(service.scripted.seen) == 1
            asked = str(service.scripted.seen[0].messages[-1]["content"])
            assert "user: I am Ann from Lyon" in asked and "did you not" not in asked
            assert await run(session, engine, "c:count()", "await c.count()") == [4]
            ((hit,),) = await run(session, engine, "c:search('Hello')", "await c.search('Hello')")  # type: ignore[misc]
            assert (hit["number"], hit["text"]) == (2, "Hello Ann")  # type: ignore[index,call-overload]

    asyncio.run(play())


@every_engine
def test_words_are_found_whatever_their_case_and_accents_and_the_likeliest_first(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with remembering(tmp_path) as (session, _):
            await run(session, engine, *OPEN)
            await run(
                session,
                engine,
                "c:add({{role = 'user', content = 'Café in Lyon'}, {role = 'user', content = 'a cafe, a bar'}, {role = 'user', content = 'rain'}})",
                "await c.add([{role: 'user', content: 'Café in Lyon'}, {role: 'user', content: 'a cafe, a bar'}, {role: 'user', content: 'rain'}])",
            )
            (found,) = await run(session, engine, "c:search('CAFE lyon', 9)", "await c.search('CAFE lyon', 9)")
            assert [hit["number"] for hit in found] == [1, 2]  # type: ignore[index,union-attr,call-overload]
            await run(session, engine, "c:add('user', 'lyon lyon')", "await c.add('user', 'lyon lyon')")
            (found,) = await run(session, engine, "c:search('lyon', 1)", "await c.search('lyon', 1)")
            assert [hit["number"] for hit in found] == [4]  # type: ignore[index,union-attr,call-overload]
            assert await run(session, engine, "c:clear()", "await c.clear()") == [4]
            assert await run(session, engine, "#c:search('lyon')", "(await c.search('lyon')).length") == [0]

    asyncio.run(play())


class Embeddings(Bridge):
    """Stands for `llm` with a model that makes embeddings: how often each of three letters stands in a text."""

    name = "llm"

    @method
    async def embed(self, ctx: Context, texts: list[str]) -> list[list[float]]:
        """A vector for each text."""
        assert len(texts) <= 256
        return [[float(text.count(letter)) for letter in "abc"] for text in texts]


@every_engine
def test_messages_are_found_by_meaning_where_a_model_makes_embeddings(engine: str, tmp_path: Path) -> None:
    search = ("c:search('ab', 2, {by = 'meaning'})", "await c.search('ab', 2, {by: 'meaning'})")

    async def play() -> None:
        async with remembering(tmp_path, bridges=(Embeddings(),)) as (session, _):
            await run(session, engine, *OPEN)
            for text in ("aaa", "abab", "c"):
                await run(session, engine, f"c:add('user', '{text}')", f"await c.add('user', '{text}')")
            (found,) = await run(session, engine, *search)
            assert [(hit["text"], hit["score"]) for hit in found] == [("abab", 1), ("aaa", 0.707107)]  # type: ignore[index,union-attr,call-overload]

    asyncio.run(play())


@every_engine
def test_a_search_by_meaning_looks_at_more_messages_than_one_question_holds(engine: str, tmp_path: Path) -> None:
    search = ("c:search('ab', 1, {by = 'meaning'})", "await c.search('ab', 1, {by: 'meaning'})")
    fill = (
        "local all = {}; for i = 1, 400 do all[i] = {role = 'user', content = i == 3 and 'ab' or 'c'} end; c:add(all)",
        "await c.add(Array.from({length: 400}, (_, i) => ({role: 'user', content: i === 2 ? 'ab' : 'c'})))",
    )

    async def play() -> None:
        async with remembering(tmp_path, bridges=(Embeddings(),)) as (session, _):
            await run(session, engine, *OPEN)
            await run(session, engine, *fill)
            (found,) = await run(session, engine, *search)
            assert [hit["number"] for hit in found] == [3]  # type: ignore[index,union-attr,call-overload]

    asyncio.run(play())


@every_engine
def test_the_session_s_own_model_of_embeddings_finds_by_meaning(engine: str, tmp_path: Path) -> None:
    search = ("c:search('rain today', 1, {by = 'meaning'})", "await c.search('rain today', 1, {by: 'meaning'})")

    async def play() -> None:
        async with remembering(tmp_path) as (session, _):
            await run(session, engine, *OPEN)
            for text in ("sun in spring", "rain all day today"):
                await run(session, engine, f"c:add('user', '{text}')", f"await c.add('user', '{text}')")
            (found,) = await run(session, engine, *search)
            assert [hit["number"] for hit in found] == [2]  # type: ignore[index,union-attr,call-overload]

    asyncio.run(play())


class NoEmbeddings(Bridge):
    """Stands for an `llm` that has no such method."""

    name = "llm"


@every_engine
def test_a_search_by_meaning_says_that_no_model_makes_embeddings(engine: str, tmp_path: Path) -> None:
    search = ("c:search('ab', 2, {by = 'meaning'})", "await c.search('ab', 2, {by: 'meaning'})")

    async def play() -> None:
        async with remembering(tmp_path, bridges=(NoEmbeddings(),)) as (session, _):
            await run(session, engine, *OPEN)
            await run(session, engine, *FILL)
            with pytest.raises(BridgeError, match="search by words") as raised:
                await run(session, engine, *search)
            assert raised.value.code == "no_embedding_model"

    asyncio.run(play())


@every_engine
def test_a_fork_goes_its_own_way_and_takes_no_name_that_is_taken(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with remembering(tmp_path) as (session, _):
            await run(session, engine, *OPEN)
            await run(session, engine, *FILL)
            await run(
                session, engine, "d = c:fork('other'); d:add('user', 'more')", "var d = await c.fork('other'); await d.add('user', 'more')"
            )
            assert await run(
                session, engine, "return {c:count(), d:count(), d:name()}", "[await c.count(), await d.count(), await d.name()]"
            ) == [[3, 4, "other"]]
            with pytest.raises(ScriptError, match="'other' already") as raised:
                await run(session, engine, "c:fork('other')", "await c.fork('other')")
            assert raised.value.code == "exists"

    asyncio.run(play())


WORK = (
    "c:add('user', 'one two and a good many words more than fit beside the others');"
    "c:add('assistant', 'three');"
    "return {c:count(), #c:search('two'), c:summarize(), #c:messages()}",
    "await c.add('user', 'one two and a good many words more than fit beside the others'); await c.add('assistant', 'three');"
    "[await c.count(), (await c.search('two')).length, await c.summarize(), (await c.messages()).length]",
)
SMALL = ("c = memory.conversation('talk', {max_tokens = 40})", "var c = await memory.conversation('talk', {maxTokens: 40})")


@every_engine
def test_a_replay_changes_nothing_on_the_disk_and_reads_what_was_recorded(engine: str, tmp_path: Path) -> None:
    async def play(mode: Any, folder: Path, *answers: str) -> list[Value]:

        async with remembering(folder, *answers) as (session, _):
            session.tape(mode, tmp_path / "a.jsonl")
            await run(session, engine, *SMALL)
            return await run(session, engine, *WORK, chunk="cell[2]")

    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    recorded = asyncio.run(play("record", tmp_path / "one", "short"))
    assert recorded == [[2, 1, "short", 2]]
    assert asyncio.run(play("replay", tmp_path / "two")) == recorded
    assert not (tmp_path / "two" / ".llmspell").exists()


@every_engine
def test_a_restored_state_adds_nothing_twice_and_goes_on_with_its_conversation(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with remembering(tmp_path, "short") as (session, service):
            await run(session, engine, *SMALL)
            first = await run(
                session,
                engine,
                WORK[0].replace("return ", "got = "),
                f"var got; {WORK[1][:-1].replace('[await c.count', 'got = [await c.count')}]",
                chunk="cell[2]",
            )
            assert first is not None
            await kill(session, engine)
            assert await run(session, engine, "got", "got", chunk="cell[3]") == [[2, 1, "short", 2]]
            assert await run(session, engine, "c:count()", "await c.count()", chunk="cell[4]") == [2]
            assert await run(session, engine, "c:add('user', 'x')", "await c.add('user', 'x')", chunk="cell[5]") == [3]
            assert len(service.scripted.seen) == 1
            assert "not cell" not in session.sink.text("stderr")  # type: ignore[attr-defined]

    asyncio.run(play())


@every_engine
def test_policy_and_quotas_hold_for_what_is_remembered(engine: str, tmp_path: Path) -> None:
    add = ("c:add('user', 'x')", "await c.add('user', 'x')")

    async def play() -> None:
        async with remembering(tmp_path, grants=Grants(deny=("memory.append",))) as (session, _):
            await run(session, engine, *OPEN)
            with pytest.raises(DeniedError, match="memory.append"):
                await run(session, engine, *add)
        for files, says in (
            ({"read_only": True}, "read only"),
            ({"max_keys": 2}, "too many keys"),
            ({"max_value_bytes": 20}, "has 26 bytes"),
        ):
            async with remembering(tmp_path, settings=Settings(files=files)) as (session, _):
                await run(session, engine, *OPEN)
                with pytest.raises((DeniedError, LimitError), match=says):
                    for _ in range(3):
                        await run(session, engine, *add)

    asyncio.run(play())


@pytest.mark.parametrize(
    ("lua", "javascript", "says"),
    [
        ("memory.conversation('a/b')", "await memory.conversation('a/b')", "without a slash"),
        ("memory.conversation('')", "await memory.conversation('')", "without a slash"),
        ("c:add('robot', 'x')", "await c.add('robot', 'x')", "must be one of user"),
        ("c:add('user', '')", "await c.add('user', '')", "is empty"),
        ("c:add({{role = 'user'}})", "await c.add([{role: 'user'}])", "message 1 must be"),
        ("c:search('x', 0)", "await c.search('x', 0)", "limit"),
        ("memory.conversation('a', {max_tokens = 1})", "await memory.conversation('a', {maxTokens: 1})", "okens"),
    ],
)
@every_engine
def test_what_is_no_message_or_name_is_told(engine: str, lua: str, javascript: str, says: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with remembering(tmp_path) as (session, _):
            await run(session, engine, *OPEN)
            with pytest.raises(SpellError, match=says):
                await run(session, engine, lua, javascript)

    asyncio.run(play())


@every_engine
def test_two_kernels_talk_in_one_conversation(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with remembering(tmp_path) as (one, _), remembering(tmp_path) as (other, _):
            for session in (one, other):
                await run(session, engine, *OPEN)
            await run(one, engine, *FILL)
            assert await run(other, engine, "#c:search('ann')", "(await c.search('ann')).length") == [2]
            await run(
                one,
                engine,
                "c:clear(); c:add('user', 'ann again'); c:add('user', 'x'); c:add('user', 'y')",
                "await c.clear(); await c.add('user', 'ann again'); await c.add('user', 'x'); await c.add('user', 'y')",
            )
            assert await run(other, engine, "#c:search('ann')", "(await c.search('ann')).length") == [1]

    asyncio.run(play())


class Picky(Bridge):
    """Stands for an `llm` that has no model for embeddings, or takes no such text."""

    name = "llm"

    def __init__(self, error: SpellError) -> None:
        self._error = error

    @method
    async def embed(self, ctx: Context, texts: list[str]) -> list[Any]:
        """Refuses."""
        raise self._error


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (ArgumentError("a text that is not empty is needed"), "argument", "not empty"),
        (ArgumentError("name the model", code="no_embedding_model"), "no_embedding_model", "search by words"),
    ],
)
def test_what_is_wrong_with_a_query_is_told_as_it_is(error: SpellError, code: str, told: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with remembering(tmp_path, bridges=(Picky(error),)) as (session, _):
            await run(session, "lua", *OPEN)
            await run(session, "lua", *FILL)
            with pytest.raises(SpellError, match=told) as raised:
                await run(session, "lua", "c:search('x', 2, {by = 'meaning'})", "")
            assert raised.value.code == code and ("makes embeddings" in str(raised.value)) == (code != "argument")

    asyncio.run(play())


class Slow:
    """What is kept, whose first answer waits for a gate; says whether two threads were ever in it."""

    def __init__(self) -> None:
        self.entered, self.gate, self.closed = threading.Event(), threading.Event(), threading.Event()
        self.inside, self.most_inside = 0, 0

    def _work(self) -> None:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.entered.set()
        self.gate.wait(30)
        self.inside -= 1

    def count(self, name: str) -> int:
        self._work()
        return 0

    def take_warnings(self) -> list[str]:
        return []

    def close(self) -> None:
        self._work()
        self.closed.set()


@pytest.mark.parametrize("then", ["count", "close"])
def test_a_call_that_was_stopped_keeps_the_next_ones_and_the_end_out_until_its_thread_is_done(then: str) -> None:
    async def play() -> None:
        bridge, slow = Memory(), Slow()
        bridge._kept = slow  # type: ignore[assignment]
        context: Any = None  # it has nothing to warn of
        first = asyncio.ensure_future(bridge.size(context, "talk"))
        await asyncio.to_thread(slow.entered.wait, 30)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        slow.entered.clear()
        going = [bridge.size(context, "talk") if then == "count" else bridge.close()]
        waiting = [asyncio.ensure_future(one) for one in going]
        assert not await asyncio.to_thread(slow.entered.wait, 0.05)  # nothing enters, so nothing can be waited for
        slow.gate.set()
        await asyncio.gather(*waiting)
        assert slow.most_inside == 1 and slow.closed.is_set() == (then == "close")

    asyncio.run(play())
