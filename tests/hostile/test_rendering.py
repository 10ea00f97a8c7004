"""What scripts and models write stays text on the page that shows it: nothing runs, nothing is loaded, nothing is steered.

Each payload goes through every way to show something, in real sessions of both engines; what is published is written into a notebook as
Jupyter saves it, made a page by nbconvert, and opened in Chromium beside the live view.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest
from nbconvert import HTMLExporter

from llmspell_kernel import Bridge, Context, Session, method
from llmspell_kernel.errors import BridgeError
from llmspell_kernel.kernel.display import LiveView
from llmspell_kernel.kernel.frameless import with_lines
from llmspell_kernel.kernel.output import CellOutput
from llmspell_kernel.policy.limits import PRESETS
from llmspell_kernel.render.errors import error_name, traceback_lines
from llmspell_kernel.render.guard import HTML, PLAIN, TAGS, is_ours
from llmspell_kernel.render.live import LivePanes
from llmspell_kernel.render.values import bundle

from ..render.page import SAFE_ATTRIBUTES, SAFE_TAGS, Page
from ..session.world import ENGINES
from .browser import CHROMIUM, MARK, Site, site

LIVE = Path(__file__).parents[2] / "llmspell_kernel" / "render" / "widgets" / "live.js"
LIMITS = PRESETS["standard"]._replace(effects=100_000, output_bytes=100_000_000)


class Payload(NamedTuple):
    number: int
    name: str
    kind: str
    text: str

    def written(self, place: Site) -> str:
        return (
            self.text.replace("JS", f"window.{MARK}{self.number}=1")
            .replace("HIT", place.hit(self.number))
            .replace("NAME", f"NAME{self.number}")
        )


def payloads() -> list[Payload]:
    with (Path(__file__).parent / "rendering" / "payloads.toml").open("rb") as file:
        kinds = tomllib.load(file)
    rows = [(name, kind, text) for kind, entries in kinds.items() for name, text in entries.items()]
    return [Payload(number, *row) for number, row in enumerate(rows)]


PAYLOADS = payloads()

SHOW = {
    "lua": """
for _, text in ipairs(texts) do
  ui.markdown(text)
  ui.markdown("before *" .. text .. "* after\\n\\n- " .. text .. "\\n\\n> " .. text)
  ui.table({{a = text, [text] = text}, {a = {text}}}, {title = text})
  ui.table({{text, text}}, {columns = {text, "b"}})
  ui.json({[text] = {text, {[text] = text}}}, {title = text, depth = 9})
  ui.display(text, {title = text})
  ui.display({a = text})
  local bar = ui.progress(3, {label = text})
  bar:update(1, text)
  bar:close()
  print(text)
  ui.write(text .. "\\n")
  log.warn(text, {[text] = text})
  log.error(text)
  pcall(world.fail, text)
  world.answer(text)
  world.ask(text, {[text] = text})
  llm.chat(text)
end
for _, data in ipairs(datas) do
  ui.display(data) ui.json(data) ui.table({data}) log.warn("data", data) world.ask("data", data)
end
""",
    "javascript": """
for (const text of texts) {
  await ui.markdown(text)
  await ui.markdown("before *" + text + "* after\\n\\n- " + text + "\\n\\n> " + text)
  await ui.table([{a: text, [text]: text}, {a: [text]}], {title: text})
  await ui.table([[text, text]], {columns: [text, "b"]})
  await ui.json({[text]: [text, {[text]: text}]}, {title: text, depth: 9})
  await ui.display(text, {title: text})
  await ui.display({a: text})
  const bar = await ui.progress(3, {label: text})
  await bar.update(1, text)
  await bar.close()
  console.log(text); console.error(text)
  await ui.write(text + "\\n")
  await log.warn(text, {[text]: text})
  await log.error(text)
  try { await world.fail(text) } catch (err) {}
  await world.answer(text)
  await world.ask(text, {[text]: text})
  await llm.chat(text)
}
for (const data of datas) {
  await ui.display(data); await ui.json(data); await ui.table([data]); await log.warn("data", data); await world.ask("data", data)
}
""",
}
END = {
    "lua": "local function f() error(text) end f()",
    "javascript": "const e = new Error(text); e.name = text; Object.defineProperty(e, 'stack', {value: text}); throw e",
}
VALUE = {"lua": "return text, {text}, {{a = text}}, {[text] = {text}}", "javascript": "[text, [text], [{a: text}], {[text]: [text]}]"}


class World(Bridge):
    """The outside, which says what a stranger wants it to say."""

    name = "world"

    @method
    async def answer(self, ctx: Context, text: str) -> str:
        """A model's answer, letter by letter."""
        for letter in text:
            ctx.chunk(letter)
        ctx.usage(model=text, finish_reason=text, input_tokens=1)
        return text

    @method
    async def ask(self, ctx: Context, text: str, data: Any = None) -> Any:
        """Takes anything, and gives it back."""
        return data

    @method
    async def fail(self, ctx: Context, text: str) -> None:
        """Fails with a page of the other side."""
        raise BridgeError(f"502: {text}", code=text)


class Shell:
    """Keeps what a kernel would send."""

    def __init__(self) -> None:
        self.display_pub = self.displayhook = self
        self.outputs: list[Any] = []
        self.data: dict[str, Any] = {}

    def publish(self, data: dict[str, Any], metadata: dict[str, Any] | None = None, **_: Any) -> None:
        self.outputs.append(nbformat.v4.new_output("display_data", data=data, metadata=metadata or {}))

    def write_format_data(self, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        self.outputs.append(nbformat.v4.new_output("execute_result", data=data, metadata=metadata))

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class Shown(NamedTuple):
    outputs: list[Any]
    operations: list[dict[str, Any]]


async def show_all(engine: str, place: Site) -> Shown:
    """Everything that a notebook would hold, and what went to the live view."""
    shell, panes, operations = Shell(), LivePanes(), []
    out, err = io.StringIO(), io.StringIO()
    texts = [payload.written(place) for payload in PAYLOADS]
    datas = [json.loads(payload.written(place).replace("\x1b", "")) for payload in PAYLOADS if payload.kind == "steer"]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        async with Session(bridges=[World()], limits=LIMITS) as session:
            await session.call_bridge("llm", "set_model", "spell/echo")
            session.recorder.listen(lambda event: (panes.add(event), operations.extend(panes.take())))
            for text in [*texts, None]:
                # a cell each, as views and traces have room for so many calls only
                given = {"texts": [text], "datas": []} if text is not None else {"texts": [], "datas": datas}
                output = CellOutput(shell, "static")
                view = LiveView(number := session.next_cell(), session.recorder, output, "static", lambda: None)
                result = await session.run(SHOW[engine], engine=engine, sink=output, cell=number, inputs=given)
                output.finish()
                view.finish()
                assert result.error is None, (text, result.error)
            for text in texts:
                output = CellOutput(shell, "static")
                chunk = f"cell {text}"
                result = await session.run(END[engine], engine=engine, sink=output, inputs={"text": text}, chunk=chunk)
                assert result.error is not None
                session.sources[chunk] = f"{text}\n" * 3
                lines = traceback_lines(result.error, session.sources, colour=True, titles=session.engines.titles())
                shown = with_lines(result.error, error_name(result.error), lines)
                shell.outputs.append(nbformat.v4.new_output("error", ename=type(shown).__name__, evalue=str(shown), traceback=lines))
                result = await session.run(VALUE[engine], engine=engine, sink=output, inputs={"text": text})
                assert result.error is None, result.error
                output.result(result.value, bundle(result.values) or {})
            operations += panes.snapshot()
    for name, stream in (("stdout", out), ("stderr", err)):
        shell.outputs.append(nbformat.v4.new_output("stream", name=name, text=stream.getvalue()))
    return Shown(shell.outputs, operations)


def texts_of(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case Mapping():
            return [text for key, item in value.items() for text in (key, *texts_of(item))]
        case list() | tuple():
            return [text for item in value for text in texts_of(item)]
    return []


def body_of(shown: Shown) -> str:
    """The page: the notebook as nbconvert writes it, once by its HTML and once by its text, and the live view as the front end runs it."""
    data = [output.data for output in shown.outputs if "data" in output]
    html, plain = ("\n".join(dict.fromkeys(part[kind] for part in data if kind in part)) for kind in (HTML, PLAIN))
    published = [nbformat.v4.new_output("display_data", data={HTML: html}), nbformat.v4.new_output("display_data", data={PLAIN: plain})]
    others = [output for output in shown.outputs if "data" not in output]
    cells = [nbformat.v4.new_code_cell("1", outputs=[*published, *others])]
    notebook = nbformat.v4.new_notebook(cells=cells)
    html, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    batch = json.dumps(shown.operations).replace("<", "\\u003c")
    module = LIVE.read_text("utf-8").replace("export default", "const live =")
    return f"""{html}<div id="live"></div><script type="module">{module}
      let receive
      live.render({{el: document.getElementById("live"), model: {{send() {{}}, on(_, take) {{ receive = take }}}}}})
      receive({{batch: {batch}}})
    </script>"""


@pytest.fixture(scope="module")
def place() -> Iterator[Site]:
    with site() as made:
        yield made


@pytest.fixture(scope="module")
def shown_by(place: Site) -> Mapping[str, Shown]:
    return {engine: asyncio.run(show_all(engine, place)) for engine in ENGINES}


@pytest.fixture(scope="module", params=ENGINES)
def shown(request: pytest.FixtureRequest, shown_by: Mapping[str, Shown]) -> Shown:
    return shown_by[request.param]


def test_the_corpus_is_as_large_as_it_is_said_to_be() -> None:
    assert len(PAYLOADS) >= 140 and len({payload.text for payload in PAYLOADS}) == len(PAYLOADS)


def test_only_two_types_of_data_are_published_and_no_metadata_but_ours(shown: Shown) -> None:
    data = [output for output in shown.outputs if "data" in output]
    assert len(data) > 10 * len(PAYLOADS)
    assert {kind for output in data for kind in output.data} == {PLAIN, HTML}
    assert {key for output in data for key in output.metadata} <= {"llmspell"}
    assert not any("withheld" in output.data[PLAIN] for output in data)


def test_every_piece_of_html_is_made_of_our_own_elements_and_attributes(shown: Shown) -> None:
    for html in (output.data[HTML] for output in shown.outputs if "data" in output and HTML in output.data):
        page = Page(html)
        assert is_ours(html), html
        assert {tag for tag, _ in page.elements} <= SAFE_TAGS, html
        assert {name for _, attributes in page.elements for name in attributes} <= SAFE_ATTRIBUTES, html
        assert page.balanced, html
        for _, attributes in page.elements:
            assert re.match(r"https?://|mailto:", attributes.get("href") or "https://"), html
            assert not re.search(r"url|position|expression|\\", attributes.get("style") or ""), html


def test_no_text_holds_what_steers_a_terminal_or_turns_its_reading_round(shown: Shown) -> None:
    for output in shown.outputs:
        for text in texts_of(output):
            left = re.sub(r"\x1b\[[0-9;]*m", "", text)
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", left), repr(text)
            assert not re.search(r"\x1b\[(?:[0-9;]*;)?(?:5|7|8)m", text), repr(text)
    for operation in shown.operations:
        assert not any(re.search(r"[\x1b\x80-\x9f\u202a-\u202e\u2066-\u2069]", text) for text in texts_of(operation)), operation


def test_links_show_the_host_that_they_lead_to(shown: Shown) -> None:
    lies = [output.data[HTML] for output in shown.outputs if "https://good.example.com</a>" in str(output.get("data", {}).get(HTML, ""))]
    assert lies and all("https://good.example.com</a> (evil.example.com)" in html for html in lies)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
@pytest.mark.timeout(300)
def test_in_a_browser_nothing_runs_and_nothing_is_loaded(place: Site, shown_by: Mapping[str, Shown], tmp_path: Path) -> None:
    everything = Shown(*(sum((list(shown[part]) for shown in shown_by.values()), []) for part in (0, 1)))
    seen = place.open(body_of(everything), tmp_path)

    assert seen.marks == [] and seen.requests == []
    assert seen.title == "saved" and seen.whole and seen.panes > 1


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
@pytest.mark.timeout(120)
def test_the_browser_would_see_what_runs_and_what_is_loaded(place: Site, tmp_path: Path) -> None:
    """The page with the payloads as they are: what the test above promises would show."""
    wanted = ["script", "img-onerror", "svg-onload", "iframe-srcdoc", "link-javascript", "any-onmouseover", "image-remote", "clobber-id"]
    chosen = [payload for name in wanted for payload in PAYLOADS if payload.name == name]
    seen = place.open("".join(f"<div>{payload.written(place)}</div>" for payload in chosen), tmp_path)

    numbers = {payload.name: payload.number for payload in chosen}
    running = {f"{MARK}{numbers[name]}" for name in wanted[:6]} | {f"NAME{numbers['clobber-id']}"}
    assert running <= set(seen.marks)
    assert any(path.endswith(f"/hit/{numbers['image-remote']}") for path in seen.requests)


def test_the_tags_of_the_guard_are_those_that_tests_hold_safe() -> None:
    assert set(TAGS) == SAFE_TAGS
