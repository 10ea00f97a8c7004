"""The written pages say what is so: what is made from the code is up to date, and every public name stands on its page."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest
import quickjs
from lupa import lua54

import llmspell_kernel
from llmspell_kernel import Session
from llmspell_kernel.bridges._declaration import declare
from llmspell_kernel.bridges._registry import built_in
from llmspell_kernel.configuration.rules import CHECKS
from llmspell_kernel.configuration.sources import VARIABLES
from llmspell_kernel.engines._declaration import FEATURES
from llmspell_kernel.kernel.cell_options import OPTIONS
from llmspell_kernel.kernel.commands import COMMANDS
from llmspell_kernel.protocol.transitions import Phase
from llmspell_kernel.session.result import Metrics, Usage

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.glob("*.md") if path.name != "performance.md")


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def named(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text) is not None


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_make", DOCS / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_is_made_from_the_code_is_what_the_code_says(path: Path) -> None:
    """In a process of its own, as it is made: in this one `typing` may hold an equal type of another test, its parts in another order."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import make, pathlib; sys.stdout.write(make.made(pathlib.Path(sys.argv[2])))"
    told = subprocess.run([sys.executable, "-c", code, str(ROOT / "docs"), str(path)], capture_output=True, check=True)
    assert path.read_text(encoding="utf-8") == told.stdout.decode(), f"docs/{path.name} is old: run `python docs/make.py`"


def test_every_part_that_can_be_made_stands_on_one_page(make: ModuleType) -> None:
    found = [name for path in PAGES for _, name, _ in make.PART.findall(path.read_text(encoding="utf-8"))]
    assert sorted(found) == sorted(make.PARTS)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("budgets.cell_seconds", "number"),
        ("budgets.cell_requests", "whole number"),
        ("budgets.unknown_price", "`allow` `refuse`"),
        ("journal", "`off` `record` `replay` `auto`"),
        ("confinement", "`auto` `off`"),
        ("keep_journal", "true or false"),
        ("network.ports", "list of numbers"),
        ("network.allow", "list of patterns"),
        ("grants.deny", "list of patterns"),
        ("seed", "whole number"),
        ("model", "text"),
    ],
)
def test_the_table_of_settings_says_what_a_value_may_be_and_not_only_what_its_default_is(key: str, kind: str, make: ModuleType) -> None:
    (row,) = (line for line in make.setting_table().splitlines() if line.startswith(f"| `{key}` |"))
    assert row.startswith(f"| `{key}` | {kind} |")


def test_the_reference_names_every_call() -> None:
    text = text_of("bridges.md")
    for bridge in built_in().values():
        for name in declare(bridge).methods:
            assert f"{bridge.name}.{name}(" in text


def test_every_option_says_what_it_is(make: ModuleType) -> None:
    rows = [line for line in make.bridges_page().splitlines() if line.startswith("|")]
    assert rows and not [row for row in rows if row.endswith("| |") and not row.startswith("| key |")]


def test_every_setting_and_its_variable_is_explained() -> None:
    text = text_of("settings.md")
    assert [key for key in (*CHECKS, *VARIABLES) if f"`{key}`" not in text] == []
    assert "`trust`" in text


def test_the_front_page_names_every_variable() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in VARIABLES if f"`{name}`" not in text] == []


def test_everything_that_a_session_can_do_is_named() -> None:
    text = text_of("python-api.md").partition("## A session")[2].partition("\n## ")[0]
    public = [
        name for name, known in vars(Session).items() if not name.startswith("_") and (callable(known) or isinstance(known, property))
    ]
    assert [name for name in public if name not in FOR_OURSELVES and f"`{name}" not in text] == []


FOR_OURSELVES = {
    *("next_cell", "next_call", "next_place", "null_word", "warm", "kill", "shutdown_s", "worker_pids", "layers", "narrowed", "states"),
    *("ask", "bridge", "end_records", "end_journal", "unmet_rules"),
    *("fresh", "fresh_state", "function", "ready", "running", "state_of"),
}
"""What kernel and command ask of a session, and its user need not."""


def test_every_public_name_of_python_is_explained() -> None:
    text = text_of("python-api.md")
    missing = [name for name in llmspell_kernel.__all__ if f"`{name}`" not in text and f"`{name}(...)`" not in text]
    assert missing == []


def test_every_field_of_a_result_is_explained() -> None:
    text = text_of("python-api.md")
    fields = {*llmspell_kernel.ExecutionResult.__dataclass_fields__, *Metrics.__dataclass_fields__, *Usage.__dataclass_fields__}
    assert [name for name in sorted(fields) if f"`{name}`" not in text] == []


def test_every_feature_of_engines_and_every_phase_is_explained() -> None:
    assert [name for name in FEATURES if f"`{name}`" not in text_of("engines.md")] == []
    assert [phase.value for phase in Phase if f"| {phase.value} |" not in text_of("architecture.md")] == []


def test_every_command_of_the_magic_is_named() -> None:
    text = "".join(map(text_of, ("getting-started.md", "settings.md", "engines.md", "journal.md", "tools.md", "magics.md")))
    assert [name for name in COMMANDS if f"%llmspell {name}" not in text] == []


def test_every_option_of_a_cell_is_named_and_shown_in_use_or_explained() -> None:
    assert [option.name for option in OPTIONS if f"`{option.name} {option.value}`" not in text_of("magics.md")] == []


def test_every_folder_of_the_package_is_named() -> None:
    folders = [path.parent.name for path in (ROOT / "llmspell_kernel").glob("*/__init__.py")]
    assert [name for name in folders if f"`{name}/`" not in text_of("architecture.md")] == []


def lua_standard() -> set[str]:
    """What plain Lua has, libraries as wholes."""
    return set(lua54.LuaRuntime().globals().keys())


def javascript_standard() -> set[str]:
    return set(quickjs.Context().eval("Object.getOwnPropertyNames(globalThis).join(' ')").split())


def names_beside(engine: str, standard: set[str], touch: str) -> list[str]:
    """What a state has beside its language and the bridges, members of its tables and objects included."""
    return [
        name
        for owner, kind, members in asyncio.run(globals_of(engine, touch))
        if owner not in standard and owner not in built_in()
        for name in [owner, *(f"{owner}.{member}" for member in members if kind in ("table", "object"))]
    ]


async def globals_of(engine: str, touch: str) -> list[tuple[str, str, list[str]]]:
    """(name, type, names in it) of every global after a cell."""
    async with Session() as session:
        (await session.run(touch, engine=engine)).raise_for_error()
        return [
            (name, kind, [member for member, _ in await session.ask("members", name, engine=engine)])
            for name, kind in await session.ask("members", "", engine=engine)
        ]


def test_every_name_that_lua_scripts_have_is_explained() -> None:
    found = names_beside("lua", lua_standard(), "return 1")
    assert {"async.map", "promise.new", "text.wrap", "sleep"} <= set(found)
    assert [name for name in found if not named(name, text_of("engines.md"))] == []


def test_every_library_of_lua_itself_that_scripts_have_is_named() -> None:
    found = [(name, members) for name, kind, members in asyncio.run(globals_of("lua", "return 1")) if kind == "table"]
    own = [name for name, _ in found if name in lua_standard() - {"_G"}]
    assert {"string", "os"} <= set(own)
    times = [f"os.{member}" for name, members in found if name == "os" for member in members]
    assert [name for name in [*own, *times] if not named(name, text_of("engines.md"))] == []


def test_every_name_that_javascript_scripts_have_is_explained() -> None:
    touch = "[TextEncoder, TextDecoder, base64, structuredClone, crypto, uuid, text, lists, URL, URLSearchParams]; 1"
    found = names_beside("javascript", javascript_standard() - {"DOMException", "atob", "btoa", "queueMicrotask"}, touch)
    assert {"async.map", "console.table", "text.wrap", "crypto.randomUUID", "setTimeout"} <= set(found)
    assert [name for name in found if not named(name, text_of("engines.md"))] == []


class Loads(HTMLParser):
    """Addresses that a page loads by itself: not those that a reader may follow."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        for name in ("src", "srcset", "poster", "data"):
            self.found.append(given.get(name) or "")
        if tag == "link" and given.get("rel") != "canonical":
            self.found.append(given.get("href") or "")


def is_elsewhere(address: str) -> bool:
    return re.match(r"(?i)(https?:)?//", address.strip()) is not None


def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install 'llmspell-kernel[test]'")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path, "--config-file", ROOT / "mkdocs.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert {path.stem for path in PAGES} <= {path.stem for path in pages}
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert loads.found and [address for address in loads.found if is_elsewhere(address)] == [], page.name
    for sheet in tmp_path.rglob("*.css"):
        addresses = re.findall(r"(?:url\(|@import)\s*['\"]?([^'\")\s;]+)", sheet.read_text(encoding="utf-8"))
        assert [address for address in addresses if is_elsewhere(address)] == [], sheet.name
