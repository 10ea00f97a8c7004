"""Guardrails around calls of models and tools, from both languages, in replays and in states that are restored."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel import Bridge, Context, method
from llmspell_kernel.bridges._buffered_stream import BufferedStream
from llmspell_kernel.bridges._declaration import declare
from llmspell_kernel.bridges._guardrail_calls import ARGUMENTS, OPTIONS, PROMPTED, PROMPTS, TOOLS
from llmspell_kernel.bridges.agent import AgentBridge
from llmspell_kernel.bridges.llm import Llm
from llmspell_kernel.bridges.tools import Tools as RealTools
from llmspell_kernel.errors import LimitError, ScriptError, SpellError
from llmspell_kernel.journal.events import CallChunk, CallStarted, CellStarted
from llmspell_kernel.policy.approval import ApprovalRequest
from llmspell_kernel.policy.decide import Grants
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.session import Session
from llmspell_kernel.values import Value

from ..session.world import ENGINES, Recording
from .test_hooks import every_engine, kill, run


class Tools(Bridge):
    """Stands for the bridge of that name."""

    name = "tools"

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []

    @method(replay="again")
    async def call(self, ctx: Context, name: str, arguments: dict[str, Any]) -> Value:
        """Gives its arguments back."""
        self.seen.append((name, arguments))
        return {"echo": arguments}


@asynccontextmanager
async def guarded(folder: Path, *answers: Mapping[str, Any] | str) -> AsyncIterator[tuple[Session, LlmService, Tools]]:
    service, tools = LlmService({"LLMSPELL_MODEL": "spell/scripted"}, local_installed=False), Tools()
    service.scripted.load(answers)
    async with Session(sink=Recording(), bridges=[Llm(service), tools], folder=folder) as session:
        yield session, service, tools


async def add(session: Session, engine: str, lua: str, javascript: str = "", **where: str) -> None:
    text = javascript or re.sub(r"\{('[^']*'(?:, '[^']*')*)\}", r"[\1]", lua.replace(" = ", ": "))
    await run(session, engine, f"guardrails.add({lua})", f"await guardrails.add({text})", **where)


def sent(service: LlmService) -> list[str]:
    return [str(request.messages[-1]["content"]) for request in service.scripted.seen]


def shown(session: Session) -> str:
    return "".join(event.text for event in session.recorder if isinstance(event, CallChunk))


def journal(session: Session) -> str:
    """All that it holds of calls: it is shown, too."""
    return str([event for event in session.recorder if not isinstance(event, CellStarted)])


CHAT = ("llm.chat('mail a@b.io')", "await llm.chat('mail a@b.io')")
QUOTED = "'x'"
ASKS: Sequence[tuple[str, str]] = [
    CHAT,
    ("llm.complete('mail a@b.io', 50)", "await llm.complete('mail a@b.io', 50)"),
    ("llm.generate('mail a@b.io', {max_tokens = 50}).text", "(await llm.generate('mail a@b.io', {maxTokens: 50})).text"),
    ("llm.chat{{role = 'user', content = 'mail a@b.io'}}", "await llm.chat([{role: 'user', content: 'mail a@b.io'}])"),
    ("llm.stream('mail a@b.io', {max_tokens = 50}):text()", "await (await llm.stream('mail a@b.io', {maxTokens: 50})).text()"),
    (
        "local got = '' llm.stream_chat('mail a@b.io', function(p) got = got .. p end, {max_tokens = 50}) return got",
        "let got = ''; await llm.streamChat('mail a@b.io', p => { got += p }, {maxTokens: 50}); got",
    ),
    (
        "local got = '' for piece in llm.stream('mail a@b.io') do got = got .. piece end return got",
        "let got = ''; for await (const piece of await llm.stream('mail a@b.io')) got += piece; got",
    ),
]


@pytest.mark.parametrize("ask", ASKS)
@every_engine
def test_personal_data_is_taken_out_of_what_is_sent_and_of_what_comes(engine: str, ask: tuple[str, str], tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path, "ask c@d.io or e@f.io") as (session, service, _):
            await add(session, engine, "{name = 'in', on = 'input', check = {personal = true}, action = 'redact'}")
            await add(session, engine, "{name = 'out', on = 'output', check = {personal = {'email'}}, action = 'redact'}")
            assert await run(session, engine, *ask, state="other") == ["ask [email] or [email]"]
            assert sent(service) == ["mail [email]"]
            assert "c@d.io" not in journal(session)
            assert "ask [email] or [email]" in shown(session)
            ((stats),) = await run(session, engine, "guardrails.stats()", "await guardrails.stats()")
            zero = {"blocked": 0, "warned": 0, "retried": 0}
            assert stats == {name: {"checked": 1, "redacted": 1, **zero} for name in ("in", "out")}

    asyncio.run(play())


@pytest.mark.parametrize("ask", ASKS)
@every_engine
def test_a_blocked_prompt_is_not_sent_and_a_blocked_answer_neither_shown_nor_given(
    engine: str, ask: tuple[str, str], tmp_path: Path
) -> None:
    async def play() -> None:
        async with guarded(tmp_path, "the word is hush") as (session, service, _):
            await add(session, engine, "{name = 'hush', on = 'output', check = {regex = 'hush'}}")
            with pytest.raises(ScriptError, match=r"stopped by the guardrail 'hush'.*answered: pattern") as raised:
                await run(session, engine, *ask)
            assert raised.value.code == "guardrail_blocked"
            assert "the word is hush" not in journal(session)
            assert len(service.scripted.seen) == 1
            await add(session, engine, "{name = 'mail', on = 'input', check = {personal = true}}")
            with pytest.raises(ScriptError, match=r"stopped by the guardrail 'mail'.*sends: email"):
                await run(session, engine, *ask)
            assert len(service.scripted.seen) == 1

    asyncio.run(play())


@pytest.mark.parametrize("ask", ASKS)
@every_engine
def test_a_model_is_asked_again_until_its_answer_passes_and_every_earlier_guardrail_looks_at_it(
    engine: str, ask: tuple[str, str], tmp_path: Path
) -> None:
    async def play() -> None:
        async with guarded(tmp_path, "far too long", "long", "c@d.io") as (session, service, _):
            await add(session, engine, "{name = 'mail', on = 'output', check = {personal = true}, action = 'redact'}")
            await add(session, engine, "{name = 'short', on = 'output', check = {regex = 'long'}, action = 'retry'}")
            assert await run(session, engine, *ask) == ["[email]"]
            assert [request.messages[-2]["content"] for request in service.scripted.seen[1:]] == ["far too long", "long"]
            assert "far too long" not in journal(session) and "c@d.io" not in journal(session)

    asyncio.run(play())


@every_engine
def test_after_its_attempts_a_retry_blocks(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path, "no", "no", "yes") as (session, service, _):
            await add(session, engine, "{name = 'yes', on = 'output', check = {required = 'yes'}, action = 'retry', attempts = 2}")
            with pytest.raises(ScriptError, match="in each of 2 answers"):
                await run(session, engine, *CHAT)
            assert len(service.scripted.seen) == 2

    asyncio.run(play())


@every_engine
def test_a_stream_that_is_looked_at_has_every_method_that_others_have(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path, "ask c@d.io") as (session, _, _):
            await add(session, engine, "{name = 'out', on = 'output', check = {personal = true}, action = 'redact'}")
            assert await run(
                session,
                engine,
                "local s = llm.stream('p'); local m = s:map(function(p) return p .. '.' end); return {m, s:usage().finish_reason, s:close()}",
                "const s = await llm.stream('p'); const m = await s.map(p => p + '.'); [m, (await s.usage()).finish_reason]",
            ) == [[["ask .", "[email]."], "stop"]]

    asyncio.run(play())


@every_engine
def test_a_stream_without_a_prompt_is_told_that_it_is_missing(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path) as (session, service, _):
            await add(session, engine, "{name = 'out', on = 'output', check = {personal = true}}")
            for call in ("llm.stream()", "llm.stream_chat()"):
                with pytest.raises(ScriptError, match=r"argument 1 \(prompt\) is missing"):
                    await run(session, engine, call, f"await {call.replace('stream_chat', 'streamChat')}")
            assert service.scripted.seen == []

    asyncio.run(play())


@every_engine
def test_an_output_guardrail_of_other_models_leaves_streams_as_they_are(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path, "one two") as (session, _, _):
            await add(session, engine, "{name = 'out', on = 'output', check = {personal = true}, models = 'openai/*'}")
            assert await run(session, engine, "llm.stream('x'):text()", "await (await llm.stream('x')).text()") == ["one two"]
            made = {f"{event.bridge}.{event.method}" for event in session.recorder if isinstance(event, CallStarted)}
            assert "llm.stream.text" in made and "llm.generate" not in made

    asyncio.run(play())


@every_engine
def test_after_a_retry_a_stream_tells_what_the_answer_used_that_it_gives(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path, "bad " * 40, "good") as (session, _, _):
            await add(session, engine, "{name = 'out', on = 'output', check = {regex = 'bad'}, action = 'retry'}")
            assert await run(
                session,
                engine,
                "local s = llm.stream('x'); return {s:text(), s:usage().output_tokens < 10}",
                "const s = await llm.stream('x'); [await s.text(), (await s.usage()).output_tokens < 10]",
            ) == [["good", True]]

    asyncio.run(play())


@every_engine
def test_a_function_that_fails_on_a_piece_stops_a_stream_that_is_looked_at_as_it_does_others(engine: str, tmp_path: Path) -> None:
    async def play(guardrail: bool) -> list[Value]:
        async with guarded(tmp_path, "a b c") as (session, _, _):
            if guardrail:
                await add(session, engine, "{name = 'out', on = 'output', check = {personal = true}}")
            return await run(
                session,
                engine,
                "local s = llm.stream('x'); local well = pcall(s.map, s, function() error('no') end); return {well, s:next()}",
                "const s = await llm.stream('x'); let well = true; try { await s.map(() => { throw new Error('no') }) } catch { well = false }"
                " [well, await s.next()]",
            )

    assert asyncio.run(play(True)) == asyncio.run(play(False))


def test_all_calls_that_are_looked_at_name_their_arguments_as_guardrails_ask_for_them() -> None:
    known = {f"{one.name}.{name}": method for one in map(declare, (Llm, RealTools, AgentBridge)) for name, method in one.methods.items()}
    known |= {f"agent.{name}": method for name, method in declare(AgentBridge).inner.items()}
    names = {label: [parameter.name for parameter in known[label].parameters] for label in (*PROMPTED, *TOOLS)}
    for label in PROMPTED:
        assert names[label][0] in PROMPTS and set(names[label][1:]) <= {*OPTIONS, "schema", "max_tokens"}
    for label in TOOLS:
        assert names[label][:2] == ["name", ARGUMENTS]


class Meanwhile:
    """Says yes, and once before has another state add a guardrail: where a first one waits for its place."""

    def __init__(self, other: str) -> None:
        self.session: Session | None = None
        self._other = other

    async def ask(self, request: ApprovalRequest) -> bool:
        if self.session is not None:
            session, self.session = self.session, None
            await add(session, "lua", self._other, state="other")
        return True


@asynccontextmanager
async def overtaken(folder: Path, other: str, *answers: str) -> AsyncIterator[tuple[Session, Meanwhile]]:
    service, approver = LlmService({"LLMSPELL_MODEL": "spell/scripted"}, local_installed=False), Meanwhile(other)
    service.scripted.load(answers)
    grants = Grants(ask=("guardrails.keep",))
    async with Session(sink=Recording(), bridges=[Llm(service)], folder=folder, grants=grants, approver=approver) as session:
        approver.session = session
        yield session, approver


WITH_FUNCTION = (
    "guardrails.add{name = 'fn', on = 'input', check = {fn = function() return 'no' end}}",
    "await guardrails.add({name: 'fn', on: 'input', check: {fn: () => 'no'}})",
)


@every_engine
def test_guardrails_of_one_name_that_come_at_once_leave_one_that_can_be_taken_away(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with overtaken(tmp_path, "{name = 'fn', on = 'input', check = {personal = true}}", "fine") as (session, approver):
            await run(session, engine, *WITH_FUNCTION)
            assert approver.session is None
            with pytest.raises(ScriptError, match="stopped by the guardrail 'fn'.*: no"):
                await run(session, engine, *CHAT)
            await run(session, engine, "guardrails.remove('fn')", "await guardrails.remove('fn')")
            assert await run(session, engine, *CHAT) == ["fine"]

    asyncio.run(play())


@every_engine
def test_a_guardrail_that_is_overtaken_by_the_fiftieth_is_one_too_many(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with overtaken(tmp_path, "{name = 'last', on = 'input', check = {personal = true}}") as (session, approver):
            approver.session = None
            fill = "for i = 1, 49 do guardrails.add{name = 'n' .. i, on = 'input', check = {personal = true}} end"
            await run(session, "lua", fill, "")
            approver.session = session
            with pytest.raises(LimitError, match="there are 50 guardrails"):
                await run(session, engine, *WITH_FUNCTION)
            assert await run(session, engine, "#guardrails.list()", "(await guardrails.list()).length") == [50]

    asyncio.run(play())


@every_engine
def test_no_more_than_fifty_guardrails_are_there_also_where_they_come_at_once(engine: str, tmp_path: Path) -> None:
    add_all = (
        "local all = {} for i = 1, 60 do all[i] = function() return pcall(guardrails.add, {name = 'n' .. i, on = 'input',"
        " check = {fn = function() end}}) end end async.all(all); return #guardrails.list()",
        "await Promise.allSettled(Array.from({length: 60}, (_, i) => guardrails.add({name: 'n' + i, on: 'input', check: {fn: () => {}}})));"
        " (await guardrails.list()).length",
    )

    async def play() -> None:
        async with guarded(tmp_path) as (session, _, _):
            assert await run(session, engine, *add_all) == [50]
            with pytest.raises(LimitError, match="there are 50 guardrails") as raised:
                await add(session, engine, "{name = 'more', on = 'input', check = {personal = true}}")
            assert (raised.value.limit, raised.value.value) == ("guardrails", 50)

    asyncio.run(play())


MANY: Mapping[str, tuple[str, str, list[Value]]] = {
    "batch": (
        "local f = llm.batch({'a@b.io', 'x', 'y'}, {concurrency = 1}); return {f[1].error.code, f[2].text, f[3].text}",
        "const f = await llm.batch(['a@b.io', 'x', 'y'], {concurrency: 1}); [f[0].error.code, f[1].text, f[2].text]",
        ["echo: x", "echo: y"],
    ),
    "compare": (
        "local f = llm.compare({prompts = {'a@b.io', 'x'}, models = {'spell/echo'}, checks = {{contains = 'x'}}}).rows;"
        " return {f[1].error:match('^[%w_]+'), f[2].text}",
        "const f = (await llm.compare({prompts: ['a@b.io', 'x'], models: ['spell/echo'], checks: [{contains: 'x'}]})).rows;"
        " [f[0].error.match(/^\\w+/)[0], f[1].text]",
        ["echo: x"],
    ),
    "consensus": (
        "local f = llm.consensus('a@b.io', {'spell/scripted', 'spell/echo'}); return {f.answers[1].error.code, f.text}",
        "const f = await llm.consensus('a@b.io', ['spell/scripted', 'spell/echo']); [f.answers[0].error.code, f.text]",
        ["echo: a@b.io"],
    ),
}
STOPS = {
    "guardrail_blocked": (
        "guardrails.add{name = 'mail', on = 'input', check = {personal = true}}",
        "await guardrails.add({name: 'mail', on: 'input', check: {personal: true}})",
    ),
    "cancelled_by_hook": (
        "hooks.before('llm.generate', function(c) if c.arguments[1]:find('@') then return hooks.cancel('no') end end)",
        "await hooks.before('llm.generate', c => c.arguments[0].includes('@') ? hooks.cancel('no') : undefined)",
    ),
}


OF_ONE_MODEL: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "guardrail_blocked": (
        ("on = 'input',", "on: 'input',"),
        ("on = 'input', models = 'spell/scr*',", "on: 'input', models: 'spell/scr*',"),
    ),
    "cancelled_by_hook": (
        ("c.arguments[1]:find('@')", "c.arguments[0].includes('@')"),
        ("(c.arguments[2] or {}).model == 'spell/scripted'", "c.arguments[1]?.model === 'spell/scripted'"),
    ),
}
"""For many models that get the same question: what to stop, and in whose place."""


@pytest.mark.parametrize("code", STOPS)
@pytest.mark.parametrize("many", MANY)
@every_engine
def test_a_question_that_is_stopped_is_one_failure_and_the_others_go_on(engine: str, many: str, code: str, tmp_path: Path) -> None:
    lua, javascript, others = MANY[many]
    of_one_model = zip(STOPS[code], *OF_ONE_MODEL[code], strict=True)
    stop = [text.replace(was, now) for text, was, now in of_one_model] if many == "consensus" else STOPS[code]

    async def play() -> None:
        async with guarded(tmp_path, *others) as (session, _, _):
            await run(session, engine, *stop)
            assert await run(session, engine, lua, javascript) == [[code, *others]]

    asyncio.run(play())


def test_no_method_of_streams_is_missing_in_those_that_are_looked_at() -> None:
    methods = declare(Llm).resources["llm.stream"].methods
    assert [name for name in methods if not hasattr(BufferedStream, name)] == []


@every_engine
def test_objects_are_looked_at_in_all_their_texts(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path, '{"to": ["a@b.io"], "n": 1}', '{"to": ["x"]}') as (session, _, _):
            await add(session, engine, "{name = 'mail', on = 'output', check = {personal = true}, action = 'redact'}")
            ask = ("llm.object('p', {type = 'object'})", "await llm.object('p', {type: 'object'})")
            assert await run(session, engine, *ask) == [{"to": ["[email]"], "n": 1}]
            await add(session, engine, "{name = 'shape', on = 'output', check = {schema = {required = {'n'}}}}")
            with pytest.raises(ScriptError, match="'n' is a required property"):
                await run(session, engine, *ask)

    asyncio.run(play())


@every_engine
def test_a_warning_is_told_and_the_call_goes_on(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path, "fine") as (session, service, _):
            await add(session, engine, "{name = 'mail', on = 'input', check = {personal = true}, action = 'warn'}")
            assert await run(session, engine, *CHAT) == ["fine"]
            assert sent(service) == ["mail a@b.io"]
            assert "the guardrail 'mail' found in llm.chat: email" in session.sink.text("stderr")  # type: ignore[attr-defined]

    asyncio.run(play())


@every_engine
def test_arguments_and_results_of_tools_are_looked_at_by_the_tools_name(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path) as (session, _, tools):
            await add(session, engine, "{name = 'mail', on = 'tool', check = {personal = true}, action = 'redact', tools = 'web_*'}")
            call = ("tools.call('{0}', {{q = {{'a@b.io'}}}})", "await tools.call('{0}', {{q: ['a@b.io']}})")
            assert await run(session, engine, *(text.format("web_find") for text in call)) == [{"echo": {"q": ["[email]"]}}]  # type: ignore[misc]
            assert await run(session, engine, *(text.format("other") for text in call)) == [{"echo": {"q": ["a@b.io"]}}]  # type: ignore[misc]
            assert tools.seen[0] == ("web_find", {"q": ["[email]"]})

    asyncio.run(play())


@every_engine
def test_an_agents_own_tools_are_looked_at_too(engine: str, tmp_path: Path) -> None:
    agent = (
        "got = 'none' local a = agent.create{tools = {{name = 'own', run = function(x) got = x.q return 'tell c@d.io' end}}}"
        " return {a:run('go').text, got, a:messages()[3].content}",
        "let got = 'none'; const a = await agent.create({tools: [{name: 'own', run: x => { got = x.q; return 'tell c@d.io' }}]});"
        " const said = (await a.run('go')).text; [said, got, (await a.messages())[2].content]",
    )

    async def play() -> None:
        asks = {"tool_calls": [{"name": "own", "arguments": {"q": "mail a@b.io"}, "id": "1"}]}
        async with guarded(tmp_path, asks, "done") as (session, _, _):
            await add(session, engine, "{name = 'mail', on = 'tool', check = {personal = true}, action = 'redact'}")
            assert await run(session, engine, *agent) == [["done", "mail [email]", "tell [email]"]]
            stats = await run(session, engine, "guardrails.stats().mail.redacted", "(await guardrails.stats()).mail.redacted")
            assert stats == [2]

    asyncio.run(play())


@pytest.mark.parametrize("action", ["block", "redact"])
@every_engine
def test_what_stands_in_the_names_of_arguments_is_found_and_stops_the_call(engine: str, action: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path) as (session, _, tools):
            await add(session, engine, f"{{name = 'mail', on = 'tool', check = {{personal = true}}, action = '{action}'}}")
            call = ("tools.call('any', {x = {{['a@b.io'] = 1}}})", "await tools.call('any', {x: [{'a@b.io': 1}]})")
            with pytest.raises(ScriptError, match="email in a name") as raised:
                await run(session, engine, *call)
            assert raised.value.code == "guardrail_blocked"
            assert tools.seen == []

    asyncio.run(play())


@every_engine
def test_a_guardrail_stays_where_there_is_no_room_for_another_in_its_place(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path, "fine") as (session, service, _):
            await add(session, engine, "{name = 'mail', on = 'input', check = {personal = true}}")
            await run(
                session,
                engine,
                "for i = 1, 199 do hooks.after('nothing.there', function() end) end",
                "for (let i = 0; i < 199; i++) await hooks.after('nothing.there', () => {})",
                state="other",
            )
            with pytest.raises(SpellError, match="there are 200 hooks and guardrails"):
                await add(session, engine, "{name = 'mail', on = 'output', check = {personal = true}}")
            with pytest.raises(ScriptError, match="'mail'.*email"):
                await run(session, engine, *CHAT)
            await add(session, engine, "{name = 'mail', on = 'input', check = {personal = true}, action = 'redact'}")  # takes no more room
            assert await run(session, engine, *CHAT) == ["fine"]
            assert sent(service) == ["mail [email]"]

    asyncio.run(play())


@every_engine
def test_a_guardrail_of_one_model_leaves_the_others_alone(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path, "one", "two") as (session, service, _):
            await add(session, engine, "{name = 'mail', on = 'input', check = {personal = true}, action = 'redact', models = 'spell/s*'}")
            await run(session, engine, *CHAT)
            echoed = await run(
                session, engine, "llm.chat('mail a@b.io', {model = 'spell/echo'})", "await llm.chat('mail a@b.io', {model: 'spell/echo'})"
            )
            assert echoed == ["echo: mail a@b.io"]
            assert sent(service) == ["mail [email]"]

    asyncio.run(play())


@every_engine
def test_a_model_judges_topics_and_what_it_does_not_answer_is_no(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path, "Yes.", "the answer", "no", "perhaps") as (session, service, _):
            await add(session, engine, "{name = 'topic', on = 'input', check = {topics = {allowed = {'cooking'}}}}")
            assert await run(session, engine, *CHAT) == ["the answer"]
            assert '"mail a@b.io"' in sent(service)[0]
            with pytest.raises(ScriptError, match="none of the allowed topics"):
                await run(session, engine, *CHAT)
            with pytest.raises(ScriptError, match="neither yes nor no"):
                await run(session, engine, *CHAT)

    asyncio.run(play())


@every_engine
def test_a_function_looks_at_each_text_and_may_take_its_place(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path, "LOUD", "bad", "fine") as (session, _, _):
            await add(
                session,
                engine,
                "{name = 'fn', on = 'output', action = 'redact', check = {fn = function(t, i)"
                " if t == 'bad' then return i.name .. ' says no' elseif t ~= t:lower() then return {text = t:lower()} end end}}",
                "{name: 'fn', on: 'output', action: 'redact', check: {fn: (t, i) =>"
                " t === 'bad' ? i.name + ' says no' : t !== t.toLowerCase() ? {text: t.toLowerCase()} : undefined}}",
            )
            assert await run(session, engine, *CHAT, state="other") == ["loud"]
            with pytest.raises(ScriptError, match="fn says no"):
                await run(session, engine, *CHAT)
            assert await run(session, engine, *CHAT) == ["fine"]

    asyncio.run(play())


@every_engine
def test_a_guardrail_whose_function_is_gone_stops_calls_until_it_is_taken_away(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path, "fine") as (session, service, _):
            await add(
                session,
                engine,
                "{name = 'fn', on = 'input', check = {fn = function() end}}",
                "{name: 'fn', on: 'input', check: {fn: () => {}}}",
                state="gone",
            )
            await session.forget("gone", engine)
            with pytest.raises(ScriptError, match="'fn' could not look at llm.chat.*guardrails.remove") as raised:
                await run(session, engine, *CHAT)
            assert raised.value.code == "guardrail_failed"
            assert service.scripted.seen == []
            assert await run(session, engine, "guardrails.remove('fn')", "await guardrails.remove('fn')") == [True]
            assert await run(session, engine, *CHAT) == ["fine"]

    asyncio.run(play())


@every_engine
def test_check_tells_what_would_be_found_and_the_list_what_there_is(engine: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path) as (session, _, _):
            await add(session, engine, "{name = 'mail', on = 'input', check = {personal = true}, action = 'redact'}")
            found = await run(session, engine, "guardrails.check('mail', 'x a@b.io')", "await guardrails.check('mail', 'x a@b.io')")
            assert found == [{"ok": False, "found": {"email": 1}, "text": "x [email]"}]
            listed = await run(session, engine, "guardrails.list()", "await guardrails.list()")
            described = {"name": "mail", "on": "input", "action": "redact", "checks": ["personal"], "models": [], "tools": []}
            assert listed == [[described]]
            with pytest.raises(ScriptError, match="did you mean 'mail'"):
                await run(session, engine, "guardrails.check('mial', '')", "await guardrails.check('mial', '')")

    asyncio.run(play())


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("{name = 'a', on = 'input', check = {length = {max_chars = 3}}, action = 'redact'}", "what to take out"),
        ("{name = 'a', on = 'input', check = {secrets = true}, action = 'retry'}", "asked for again"),
        ("{name = 'a', on = 'input', check = {secrets = false}}", "looks for nothing"),
        ("{name = '', on = 'input', check = {secrets = true}}", "needs a name"),
        ("{name = 'a', on = 'input', check = {secret = true}}", "did you mean 'secrets'"),
        ("{name = 'a', on = 'input', check = {personal = {'emial'}}}", "did you mean 'email'"),
        ("{name = 'a', on = 'input', check = {secrets = true}, tools = 'x'}", "'tools' goes with"),
        (f"{{name = 'a', on = 'input', check = {{secrets = true}}, models = '{'x' * 201}'}}", "50 patterns of 200 characters"),
        (
            f"{{name = 'a', on = 'tool', check = {{secrets = true}}, tools = {{{', '.join([QUOTED] * 51)}}}}}",
            "50 patterns of 200 characters",
        ),
    ],
)
@every_engine
def test_a_guardrail_that_cannot_be_is_refused(engine: str, spec: str, says: str, tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path) as (session, _, _):
            with pytest.raises(ScriptError, match=says):
                await add(session, engine, spec.replace("max_chars", "max_chars" if engine == "lua" else "maxChars"))

    asyncio.run(play())


@pytest.mark.parametrize("ask", ASKS)
@every_engine
def test_a_replay_asks_nobody_and_comes_to_the_same(engine: str, ask: tuple[str, str], tmp_path: Path) -> None:
    async def play(mode: Any, *answers: str) -> list[Value]:
        async with guarded(tmp_path, *answers) as (session, service, _):
            session.tape(mode, tmp_path / "a.jsonl")
            await add(session, engine, "{name = 'in', on = 'input', check = {personal = true}, action = 'redact'}")
            await add(session, engine, "{name = 'out', on = 'output', check = {personal = true}, action = 'redact'}")
            await add(session, engine, "{name = 'again', on = 'output', check = {regex = 'bad'}, action = 'retry'}")
            values = await run(session, engine, *ask, chunk="cell[2]")
            assert len(service.scripted.seen) == len(answers)
            return values

    assert asyncio.run(play("record", "bad", "c@d.io")) == asyncio.run(play("replay")) == ["[email]"]


@pytest.mark.parametrize("ask", ASKS[:5])
@pytest.mark.parametrize("owner", ENGINES)
def test_a_restored_state_comes_to_the_same_and_has_its_guardrails_once(owner: str, ask: tuple[str, str], tmp_path: Path) -> None:
    async def play() -> None:
        async with guarded(tmp_path, "first a@b.io", "c@d.io") as (session, service, _):
            keep = (f"kept = (function() return {ask[0]} end)()", f"let kept = {ask[1]}")
            await run(session, owner, keep[0].replace("kept", "free"), keep[1].replace("kept", "free"), state="user", chunk="cell[1]")
            await add(session, owner, "{name = 'out', on = 'output', check = {personal = true}, action = 'redact'}", chunk="cell[2]")
            await run(session, owner, *keep, state="user", chunk="cell[3]")
            await kill(session, owner, "user")
            assert await run(session, owner, "return {free, kept}", "[free, kept]", state="user", chunk="cell[4]") == [
                ["first a@b.io", "[email]"]
            ]
            await kill(session, owner)
            await run(session, owner, "x = 1", "let x = 1", chunk="cell[5]")
            assert len(service.scripted.seen) == 2
            ((listed),) = await run(session, owner, "#guardrails.list()", "(await guardrails.list()).length")
            assert listed == 1
            assert "not cell" not in session.sink.text("stderr")  # type: ignore[attr-defined]

    asyncio.run(play())
