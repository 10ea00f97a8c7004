"""A secret that came into a session leaves it nowhere: not in output, trace, errors, journal, a saved notebook or the command line.

The script gets every written form of the value (as if a provider had echoed it) and sends each through every way out that there is.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import nbformat
import pytest

from llmspell_kernel import Bridge, Context, Resource, Session, method
from llmspell_kernel.bridges.llm import Llm
from llmspell_kernel.errors import BridgeError
from llmspell_kernel.journal.events import CallChunk
from llmspell_kernel.render.errors import traceback_lines
from llmspell_kernel.render.live import LivePanes
from llmspell_kernel.render.shown import shown_bundle
from llmspell_kernel.render.trace import final_bundle
from llmspell_kernel.render.values import bundle
from llmspell_kernel.services.llm.service import LlmService
from llmspell_kernel.settings import Settings
from llmspell_kernel.values import Callback

from ..kernel.conftest import Client
from ..secret_forms import COMMON, FORMS, occurrences
from ..session.world import ENGINES, Recording

KEY = "sk-Zq9_x/7+Kd~3v.Tb=mP2"
LEAKS = [FORMS[form](KEY) for form in COMMON]

WAYS = {
    "lua": """
for _, leak in ipairs(leaks) do
  print(leak)
  for at = 1, #leak do ui.write(leak:sub(1, at)) ui.write(leak:sub(at + 1) .. "\\n") end
  ui.markdown("**" .. leak .. "** [" .. leak .. "](https://a.example.com/" .. leak .. ")")
  ui.table({{token = leak, [leak] = 1}}, {title = leak})
  ui.json({[leak] = {leak}}, {title = leak, depth = 9})
  ui.display(leak, {title = leak})
  local bar = ui.progress(2, {label = leak})
  bar:update(1, leak)
  bar:close()
  log.warn(leak, {field = leak, [leak] = 1})
  log.debug(leak)
  leaky.letters(leak)
  seen[#seen + 1] = leaky.echo(leak)
  seen[#seen + 1] = leaky.echo({[leak] = {deep = {leak}}})
  for piece in leaky.pieces(leak) do seen[#seen + 1] = piece end
  leaky.hand_over(function(got) seen[#seen + 1] = got end, leak)
  for _, kind in ipairs({"bridge", "foreign", "chained"}) do
    local ok, err = pcall(leaky.fail, kind, leak)
    seen[#seen + 1] = tostring(err) .. err.message
  end
  pcall(leaky.echo, leak, leak, leak)
  pcall(secrets.has, {leak})
  seen[#seen + 1] = llm.chat("Say " .. leak)
  for piece in llm.stream("Say " .. leak) do seen[#seen + 1] = piece end
  llm.stream_chat("Say " .. leak, function(piece) seen[#seen + 1] = piece end)
end
""",
    "javascript": """
for (const leak of leaks) {
  console.log(leak); console.error(leak)
  for (let at = 1; at <= leak.length; at++) { await ui.write(leak.slice(0, at)); await ui.write(leak.slice(at) + "\\n") }
  await ui.markdown("**" + leak + "** [" + leak + "](https://a.example.com/" + leak + ")")
  await ui.table([{token: leak, [leak]: 1}], {title: leak})
  await ui.json({[leak]: [leak]}, {title: leak, depth: 9})
  await ui.display(leak, {title: leak})
  const bar = await ui.progress(2, {label: leak})
  await bar.update(1, leak)
  await bar.close()
  await log.warn(leak, {field: leak, [leak]: 1})
  await log.debug(leak)
  await leaky.letters(leak)
  seen.push(await leaky.echo(leak))
  seen.push(await leaky.echo({[leak]: {deep: [leak]}}))
  for await (const piece of await leaky.pieces(leak)) seen.push(piece)
  await leaky.handOver(got => { seen.push(got) }, leak)
  for (const kind of ["bridge", "foreign", "chained"]) {
    try { await leaky.fail(kind, leak) } catch (err) { seen.push(String(err) + err.message) }
  }
  try { await leaky.echo(leak, leak, leak) } catch (err) {}
  try { await secrets.has([leak]) } catch (err) {}
  seen.push(await llm.chat("Say " + leak))
  for await (const piece of await llm.stream("Say " + leak)) seen.push(piece)
  await llm.streamChat("Say " + leak, piece => { seen.push(piece) })
}
""",
}
FOUND = {
    "lua": """
local function flat(value)
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for key, item in pairs(value) do parts[#parts + 1] = flat(key) .. flat(item) end
  return table.concat(parts)
end
local parts, found = {}, 0
for _, value in ipairs(seen) do parts[#parts + 1] = flat(value) end
local all = table.concat(parts)
for _, leak in ipairs(leaks) do if all:find(leak, 1, true) then found = found + 1 end end
return found, #seen
""",
    "javascript": """
const all = seen.map(value => typeof value === "string" ? value : JSON.stringify(value)).join("")
const found = leaks.filter(leak => all.includes(leak) || all.includes(JSON.stringify(leak).slice(1, -1))).length;
[found, seen.length]
""",
}
"""What the script itself finds in what it was told: nothing that is read from here can be redacted on its way."""
STARTS = {"lua": "seen = {}\n", "javascript": "globalThis.seen = [];\n"}
ENDS = {"lua": 'error("in the end: " .. leaks[1])', "javascript": 'throw new Error("in the end: " + leaks[0])'}
VALUES = {"lua": "return leaks[1], leaks, {[leaks[1]] = 1}", "javascript": "[leaks[0], leaks, {[leaks[0]]: 1}]"}


class Pieces(Resource):
    """A text, a letter at a time."""

    type = "leaky.pieces"
    iterate = "next"

    def __init__(self, ctx: Context, text: str) -> None:
        stream = ctx.pieces()
        self._given = iter([*(stream.feed(letter) for letter in text), stream.end()])

    @method
    async def next(self, ctx: Context) -> str | None:
        """The next letter."""
        return next(self._given, None)


class Leaky(Bridge):
    """A bridge whose outside world knows the key, and tells it."""

    name = "leaky"
    resources = (Pieces,)

    @method
    async def echo(self, ctx: Context, value: Any) -> Any:
        """What it got."""
        return value

    @method
    async def letters(self, ctx: Context, text: str) -> str:
        """An answer in chunks of one letter."""
        for letter in text:
            ctx.chunk(letter)
        ctx.usage(model=text)
        return text

    @method
    async def pieces(self, ctx: Context, text: str) -> Pieces:
        """A stream of letters."""
        return Pieces(ctx, text)

    @method
    async def hand_over(self, ctx: Context, fn: Callback, text: str) -> None:
        """Calls a function of the script."""
        await ctx.invoke(fn, text)

    @method
    async def fail(self, ctx: Context, kind: str, text: str) -> None:
        """Fails as a provider does that repeats the key."""
        if kind == "bridge":
            raise BridgeError(f"401: Incorrect API key provided: {text}")
        if kind == "foreign":
            raise RuntimeError(f"https://api.example.com/?key={text}", [text])
        try:
            raise ValueError(text)
        except ValueError as error:
            raise BridgeError(f"it failed: {text}") from error


@pytest.fixture
def key_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY_OF_MINE", KEY)
    monkeypatch.setenv("LLMSPELL_MODEL", "spell/echo")


def declared() -> Settings:
    return Settings(secrets={"mine": {"env": "A_KEY_OF_MINE", "hosts": ["api.example.com"]}})


def listed(session: Session) -> str:
    return "\n".join(msgspec.json.encode(event).decode() for event in session.recorder)


def assert_clean(**places: str) -> None:
    for place, text in places.items():
        assert text, f"nothing came to {place}: this test looks at nothing"
        assert not occurrences(text, KEY), f"{place}: {occurrences(text, KEY)}"
    assert any("[secret mine]" in text for text in places.values())


class Page(Recording):
    """A sink that also renders what it is to show."""

    def show(self, shown: Any, null: str) -> int:
        self.got.append(("page", "".join(shown_bundle(shown, null).values())))
        return super().show(shown, null)


async def leak_everywhere(engine: str) -> dict[str, str]:
    sink = Page()
    models = LlmService({"LLMSPELL_MODEL": "spell/scripted"})
    models.scripted.load({"chunks": list(f"It is {leak}.")} for leak in LEAKS for _ in range(3))
    async with Session(sink=sink, settings=declared(), bridges=[Leaky(), Llm(models)]) as session:
        panes = LivePanes()
        live: list[Any] = []
        session.recorder.listen(lambda event: (panes.add(event), live.extend(panes.take())))
        first = await session.run(STARTS[engine] + WAYS[engine], engine=engine, inputs={"leaks": LEAKS})
        assert first.error is None, first.error
        told = (await session.run(FOUND[engine], engine=engine)).values
        found, seen = told if engine == "lua" else told[0]
        assert found == 0 and seen > 20 * len(LEAKS)
        ended = await session.run(ENDS[engine], engine=engine, chunk=f"cell {KEY}", inputs={"leaks": LEAKS})
        pasted = await session.run(f'{ENDS[engine].split("(")[0]}("{KEY}")', engine=engine)
        given = await session.run(VALUES[engine], engine=engine, outputs=["leaks"])
        raised = [await raised_by(session.call_bridge("leaky", "fail", kind, KEY)) for kind in ("bridge", "foreign", "chained")]
        trace = final_bundle(session.recorder.of_cell(first.cell))
        assert trace is not None and ended.error is not None and pasted.error is not None
        faults = [line for result in (ended, pasted) for line in traceback_lines(result.error, session.sources, colour=True)]
        return {
            "output": sink.text("stdout") + sink.text("stderr"),
            "kept output": str(first.output),
            "pages": sink.text("page"),
            "trace": "".join(trace.data.values()) + str(trace.metadata),
            "live view": "".join(str(operation.get("text", operation)) for operation in live),
            "errors": "\n".join([*faults, str(ended.error), repr(ended), *raised]),
            "journal": "\n".join(msgspec.json.encode(event).decode() for event in session.recorder),
            "chunks": "".join(event.text for event in session.recorder if isinstance(event, CallChunk)),
            "values": "".join((bundle(given.values) or {}).values()) + str(given) + str(given.value) + str(given.outputs),
            "global": str(await session.get("leaks", engine=engine)),
            "logs": str(first.logs),
            "completion": str(await session.ask("members", "", engine=engine)),
        }


async def raised_by(call: Awaitable[Any]) -> str:
    try:
        await call
    except Exception as error:
        return "".join(traceback.format_exception(error))
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("engine", ENGINES)
def test_no_way_out_of_a_session_shows_a_secret(engine: str, key_in_environment: None) -> None:
    assert_clean(**asyncio.run(leak_everywhere(engine)))


BACKGROUND = {
    "lua": """
async.background(function()
  sleep(0.01)
  for _, leak in ipairs(leaks) do for letter in leak:gmatch(".") do ui.write(letter) end end
  error(leaks[1])
end)
""",
    "javascript": """
async.background(async () => {
  await sleep(0.01)
  for (const leak of leaks) for (const letter of leak) await ui.write(letter)
  throw new Error(leaks[0])
}); 0
""",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_work_in_the_background_shows_no_secret(engine: str, key_in_environment: None) -> None:
    async def run() -> None:
        sink = Recording()
        async with Session(sink=sink, settings=declared()) as session:
            result = await session.run(BACKGROUND[engine], engine=engine, inputs={"leaks": LEAKS})
            assert result.error is None, result.error
            await session.background_ended()
        assert_clean(output=sink.text("stdout"), errors=sink.text("stderr"))

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_ordinary_text_is_shown_as_it_is_and_in_its_order(engine: str, key_in_environment: None) -> None:
    code = {
        "lua": 'ui.write("class sk") ui.display(1) ui.write("y ") print("sk-") print("100 %") return "sk-Zq9"',
        "javascript": 'await ui.write("class sk"); await ui.display(1); await ui.write("y "); console.log("sk-"); console.log("100 %"); "sk-Zq9"',
    }

    async def run() -> None:
        sink = Recording()
        async with Session(sink=sink, settings=declared()) as session:
            result = await session.run(code[engine], engine=engine)
            assert result.value == "sk-Zq9" and result.output.stdout == "class sky sk-\n100 %\n"
            assert sink.text("stdout") == "class sky sk-\n100 %\n"
            assert [kind for kind, _ in sink.got].index("shown") == 2  # after all of what was written before it

    asyncio.run(run())


@pytest.mark.parametrize("engine", ENGINES)
def test_scripts_see_names_and_no_values(engine: str, key_in_environment: None) -> None:
    code = {
        "lua": 'return secrets.names(), secrets.has("mine"), secrets.has("other")',
        "javascript": '[await secrets.names(), await secrets.has("mine"), await secrets.has("other")]',
    }

    async def run() -> None:
        async with Session(settings=declared()) as session:
            result = await session.run(code[engine], engine=engine)
            assert (result.values if engine == "lua" else result.values[0]) == [["mine"], True, False]
            session.secrets.set("other", "another value", hosts=["a.example.com"])
            assert (await session.run(code[engine], engine=engine)).error is None
            assert session.secrets.names() == ["mine", "other"]

    asyncio.run(run())


def without_bridge(code: str) -> str:
    """The ways that need no bridge of a test."""
    lines = code.splitlines()
    kept = [line for line in lines if "leaky" not in line and "local ok, err" not in line and "tostring(err)" not in line]
    text = "\n".join(kept)
    return re.sub(r"  for _, kind in .* do\n  end\n|  for \(const kind of .*\{\n  \}\n", "", text)


@pytest.fixture
def user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key_in_environment: None) -> Path:
    """A user's own settings that declare the secret."""
    folder = tmp_path / "config" / "llmspell"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('[secrets.mine]\nenv = "A_KEY_OF_MINE"\nhosts = ["api.example.com"]\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


GIVE = "import os\nfrom tests.secret_forms import COMMON, FORMS\nleaks = [FORMS[form](os.environ['A_KEY_OF_MINE']) for form in COMMON]"


@pytest.mark.parametrize("engine, magic", [("lua", "%%lua"), ("javascript", "%%js")])
def test_a_saved_notebook_holds_no_secret(engine: str, magic: str, user_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbclient import NotebookClient

    monkeypatch.setenv("LLMSPELL_DISPLAY", "live")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    cells = [
        GIVE,
        f"{magic} --in leaks\n{STARTS[engine]}{without_bridge(WAYS[engine])}",
        f"{magic}\n{ENDS[engine]}",
        f"{magic}\n{VALUES[engine]}",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, kernel_name="llmspell", allow_errors=True, timeout=60).execute()
    saved = user_file / "saved.ipynb"
    nbformat.write(notebook, saved)

    outputs = [[output.output_type for output in cell.outputs] for cell in notebook.cells]
    assert "display_data" in outputs[1] and "stream" in outputs[1] and "error" not in outputs[1], notebook.cells[1].outputs
    assert outputs[2] == ["error"] and outputs[3] == ["execute_result"]
    assert_clean(notebook=saved.read_text())


@pytest.mark.parametrize("engine, magic", [("lua", "%%lua"), ("javascript", "%%js")])
def test_no_message_of_a_kernel_holds_a_secret(engine: str, magic: str, user_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSPELL_DISPLAY", "live")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    client = Client("llmspell")
    try:
        assert client.run(GIVE).status == "ok"
        cells = [
            f"{magic} --in leaks\n{STARTS[engine]}{without_bridge(WAYS[engine])}",
            f"{magic}\n{ENDS[engine]}",
            f"{magic}\n{VALUES[engine]}",
        ]
        ran = [client.run(cell) for cell in cells]
        assert [cell.status for cell in ran] == ["ok", "error", "ok"], ran[0].reply
        texts = [text for cell in ran for part in (cell.reply, *cell.messages) for text in strings(part)]
        assert_clean(messages="\n".join(texts), joined="".join(texts))
    finally:
        client.close()


def strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, item in value.items():
                yield from (key, *strings(item))
        case list() | tuple():
            for item in value:
                yield from strings(item)


@pytest.mark.parametrize("name, engine", [("leak.lua", "lua"), ("leak.js", "javascript")])
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_the_command_line_prints_no_secret(name: str, engine: str, options: tuple[str, ...], user_file: Path) -> None:
    take = {"lua": "leaks = params.leaks\n", "javascript": "globalThis.leaks = params.leaks\n"}[engine]
    outs = []
    for ending in (VALUES[engine], ENDS[engine], f'{ENDS[engine].split("(")[0]}("{KEY}")'):
        (user_file / name).write_text(take + STARTS[engine] + without_bridge(WAYS[engine]) + f"\n{ending}")
        command = [sys.executable, "-m", "llmspell_kernel.cli", "run", name, "-p", f"leaks={json.dumps(LEAKS)}", *options]
        done = subprocess.run(command, cwd=user_file, capture_output=True, text=True, timeout=60)
        assert done.returncode == (0 if ending == VALUES[engine] else 1), done.stderr
        outs.append((done.stdout, done.stderr))
    assert_clean(stdout="".join(out for out, _ in outs), stderr="".join(err for _, err in outs))


def test_a_project_may_declare_no_secret(user_file: Path) -> None:
    (user_file / "llmspell.toml").write_text('[secrets.mine]\nenv = "A_KEY_OF_MINE"\nhosts = ["evil.example.com"]\n')
    (user_file / "s.lua").write_text("return 1")
    done = subprocess.run([sys.executable, "-m", "llmspell_kernel.cli", "run", "s.lua"], cwd=user_file, capture_output=True, text=True)
    assert done.returncode != 0 and "secrets.mine" in done.stderr and "may not set this" in done.stderr
