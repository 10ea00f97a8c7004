"""Finding engines: by name, alias, file ending and MIME type; what is refused, and what is said of one that cannot run."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llmspell_kernel import engines
from llmspell_kernel.engines import EngineDeclaration, EngineRegistry, Options, discover
from llmspell_kernel.engines._declaration import FEATURES
from llmspell_kernel.engines._overview import overview
from llmspell_kernel.engines._registry import built_in
from llmspell_kernel.errors import ConfigError
from llmspell_kernel.protocol.steps import Finished
from llmspell_kernel.render.engines import engine_bundle
from llmspell_kernel.session import Session
from llmspell_kernel.workers import probe


def toy(name: str = "toy", **fields: object) -> EngineDeclaration:
    return EngineDeclaration(name, name.title(), "json", **fields)  # type: ignore[arg-type]


def registry_of(*declarations: EngineDeclaration) -> EngineRegistry:
    registry = EngineRegistry()
    for declaration in declarations:
        registry.register(declaration)
    return registry


@pytest.mark.parametrize(
    ("look", "found"),
    [
        (lambda known: known.get("lua"), "lua"),
        (lambda known: known.get("javascript"), "javascript"),
        (lambda known: known.get("js"), "javascript"),
        (lambda known: known.for_file("a.b.LUA"), "lua"),
        (lambda known: known.for_file("folder.lua/x.mjs"), "javascript"),
        (lambda known: known.for_mime("text/x-lua"), "lua"),
        (lambda known: known.for_mime("Text/JavaScript; charset=utf-8"), "javascript"),
        (lambda known: known.for_mime("application/javascript"), "javascript"),
    ],
)
def test_an_engine_is_found_by_name_alias_file_ending_and_mime_type(
    look: Callable[[EngineRegistry], EngineDeclaration], found: str
) -> None:
    assert look(built_in()).name == found


@pytest.mark.parametrize(
    ("look", "told"),
    [
        (lambda known: known.get("luaa"), "there is no engine 'luaa'; did you mean 'lua'? Known: javascript or js, lua"),
        (lambda known: known.get("Lua"), "there is no engine 'Lua'; did you mean 'lua'? Known: javascript or js, lua"),
        (lambda known: known.get("cobol"), "there is no engine 'cobol'; known: javascript or js, lua"),
        (lambda known: known.get(".js"), "there is no engine '.js'; did you mean 'js'? Known: javascript or js, lua"),
        (lambda known: known.for_file("x.py"), "its ending is none of .js, .mjs, .lua; name the engine with --engine"),
        (
            lambda known: known.for_mime("text/plain"),
            "no engine runs 'text/plain'; known: text/javascript, application/javascript, text/x-lua",
        ),
    ],
)
def test_an_unknown_one_is_refused_with_the_nearest_and_the_known(look: Callable[[EngineRegistry], object], told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told) + "$"):
        look(built_in())


def test_of_two_endings_that_fit_the_longer_one_decides() -> None:
    registry = registry_of(toy("short", file_endings=[".x"]), toy("long", file_endings=[".y.x"]))
    assert registry.for_file("a.y.x").name == "long"


@pytest.mark.parametrize(
    "second",
    [
        toy("lua"),
        toy("js"),
        toy("other", aliases=["javascript"]),
        toy("other", aliases=["js"]),
        toy("other", file_endings=[".lua"]),
        toy("other", mime_types=["text/x-lua; charset=utf-8"]),
    ],
)
def test_a_second_engine_for_what_another_has_is_refused_and_leaves_nothing(second: EngineDeclaration) -> None:
    registry = built_in()
    with pytest.raises(ConfigError, match=r"is taken by llmspell_kernel\.engines\."):
        registry.register(second)
    assert [engine.name for engine in registry] == ["javascript", "lua"]
    with pytest.raises(ConfigError):
        registry.get("other")


@pytest.mark.parametrize(
    ("declaration", "told"),
    [
        (toy("Toy"), "cannot be an engine's name"),
        (toy("python"), "cannot be an engine's name"),
        (toy(aliases=["a b"]), "'a b' cannot be an engine's name"),
        (toy(file_endings=["toy"]), "it begins with a dot"),
        (toy(features=frozenset({"awaits"})), "did you mean 'await'"),
        (toy(case="kebab"), "known: snake, camel"),
    ],
)
def test_a_malformed_declaration_is_refused(declaration: EngineDeclaration, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        EngineRegistry().register(declaration)


def test_every_engine_declares_what_the_host_needs_and_its_worker_says_the_same_version() -> None:
    facts = asyncio.run(probe()).engines
    for engine in built_in():
        assert facts[engine.name]["language_version"] == engine.language_version
        assert ("soft_interrupt" in engine.features) == facts[engine.name]["soft_interrupt"]
        assert engine.features <= FEATURES.keys()
        assert all((engine.title, engine.file_endings, engine.mime_types, engine.keywords, engine.library, engine.kernelspec))
        assert engine.library in engine.needed.values()


def test_create_gives_the_engine_itself() -> None:
    class Stop:
        address = 0
        variable = "LLMSPELL_TEST_STOP"

        def raised(self) -> bool:
            return False

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(Stop.variable, "0")
        engine = built_in().create("lua", Stop(), lambda stream, text: None)
        step = engine.open(Options(1), {}).start("1 + 1", "cell[1]")
    assert isinstance(step, Finished) and bytes(step.values) == b"[2]"
    with pytest.raises(ConfigError, match="there is no engine 'luna'"):
        built_in().create("luna", Stop(), lambda stream, text: None)


def test_the_public_names_are_there_and_no_other() -> None:
    assert all(getattr(engines, name) is not None for name in engines.__all__)
    assert dir(engines) == sorted(engines.__all__)
    with pytest.raises(AttributeError):
        _ = engines.nothing


SITE = {"good": "shout", "raising": "raise RuntimeError('bad day')", "vague": "declaration = {'name': 'vague'}", "second": "lua"}
DECLARATION = 'from llmspell_kernel.engines import EngineDeclaration\ndeclaration = EngineDeclaration("{name}", "X", "json")'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four packages with an entry point, of which one is an engine."""
    for name, source in SITE.items():
        info = tmp_path / f"{name}_engine-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-engine\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[llmspell.engines]\n{name} = {name}_engine:declaration\n", encoding="utf-8")
        code = source if " " in source else DECLARATION.format(name=source)
        (tmp_path / f"{name}_engine.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_an_entry_point_that_gives_no_engine_is_named_and_the_others_work(site: Path) -> None:
    registry = discover()
    assert {"lua", "javascript", "shout"} <= {engine.name for engine in registry}
    assert registry.get("lua").interpreter == "llmspell_kernel.engines.lua.interpreter"
    assert registry.failed["raising"] == "raising_engine:declaration (from raising-engine 1.0): RuntimeError: bad day"
    assert "is not an llmspell_kernel.engines.EngineDeclaration" in registry.failed["vague"]
    assert "'lua' of json is taken by llmspell_kernel.engines.lua.interpreter" in registry.failed["second"]
    with pytest.raises(ConfigError, match="the engine 'raising' does not load: .*bad day"):
        registry.get("raising")
    rows = {row["name"]: row for row in overview(registry)}
    assert rows["raising"]["problem"].endswith("RuntimeError: bad day") and rows["lua"]["problem"] == ""


def test_a_missing_package_is_named_with_the_distribution_that_brings_it() -> None:
    registry = registry_of(toy(needed={"json": "never", "no_such_module": "no-such-dist"}), toy("well"))
    assert registry.problem("toy") == "Toy cannot run without 'no-such-dist', not installed here. Mend it with: pip install no-such-dist"
    assert registry.problem("well") == ""
    registry.check("well")
    with pytest.raises(ConfigError, match="pip install no-such-dist"):
        registry.check("toy")


def checked() -> str | None:
    return "the moon is not full"


def failing() -> str | None:
    raise ZeroDivisionError("no moon")


def test_a_check_of_its_own_is_asked_for_and_one_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "own_checks", sys.modules[__name__])
    registry = registry_of(toy("a", problem="own_checks:checked"), toy("b", problem="own_checks:failing"), toy("c", problem="nowhere:x"))
    assert registry.problem("a") == "the moon is not full"
    assert registry.problem("b") == "the check of B (own_checks:failing) failed: ZeroDivisionError: no moon"
    assert "ModuleNotFoundError" in registry.problem("c")


def with_broken_ones() -> EngineRegistry:
    """Our engines, one whose packages are missing, and one that is installed but does not work."""
    registry = built_in()
    registry.register(toy("packless", needed={"no_such_module": "no-such-dist"}))
    registry.register(EngineDeclaration("hollow", "Hollow", "json"))  # a module without create_engine
    return registry


def test_an_engine_that_cannot_run_costs_no_other_its_states() -> None:
    async def play() -> None:
        session = Session(engines=with_broken_ones())
        try:
            for engine, told in (("packless", "pip install no-such-dist"), ("hollow", "'hollow' cannot run here: AttributeError")):
                outcome = await session.run("1", engine=engine)
                assert isinstance(outcome.error, ConfigError) and told in outcome.error.message
                assert outcome.error.engine == engine
            for engine in ("lua", "js"):
                assert (await session.run("40 + 2", engine=engine)).values == [42]
        finally:
            await session.close()

    asyncio.run(play())


def test_reading_the_declarations_imports_no_interpreter() -> None:
    late = "{'lupa', 'quickjs', '_quickjs', 'tree_sitter', 'msgspec', 'asyncio'}"
    code = f"import sys; from llmspell_kernel.engines import discover; list(discover()); print(sorted({late} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_table_reads_well_in_80_columns_and_says_what_keeps_an_engine_from_running() -> None:
    shown = engine_bundle(overview(with_broken_ones()))
    assert max(map(len, shown["text/plain"].splitlines())) <= 80
    assert "%%javascript %%js" in shown["text/plain"] and "problem: Packless cannot run without 'no-such-dist'" in shown["text/plain"]
    assert "pip install no-such-dist" in shown["text/html"] and shown["text/html"].startswith("<table")
