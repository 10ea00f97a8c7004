"""Which bridges are found, and what happens to those that cannot be."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_kernel.bridges._registry import Declarations, Registry, discover
from llmspell_kernel.errors import ConfigError

BRIDGE = '''
from llmspell_kernel import Bridge, Context, method

class Found(Bridge):
    """Found by its entry point."""
    name = "{name}"

    @method
    async def ping(self, ctx: Context) -> str:
        """Answers."""
        return "pong"
'''


class Site:
    """A folder on sys.path with distributions, as pip would leave them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, distribution: str, entry: str, module: str, source: str) -> None:
        (self.folder / f"{module}.py").write_text(source)
        info = self.folder / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[llmspell.bridges]\n{entry}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Site(tmp_path)
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and Path(sys.modules[name].__file__).parent == tmp_path:
            del sys.modules[name]


def test_every_module_of_the_folder_is_a_bridge_that_works() -> None:
    registry = discover()
    assert registry.failed == {}
    assert {name: known.declaration.name for name, known in registry.bridges.items()} == {name: name for name in registry.bridges}
    folder = Path(sys.modules[Registry.__module__].__file__).parent
    assert {path.stem for path in folder.glob("[!_]*.py")} <= set(registry.bridges)
    assert {"log", "ui", "timer"} <= set(registry.bridges)


def test_an_installed_package_adds_a_bridge_by_its_entry_point(site: Site) -> None:
    site.add("found-bridge", "found = found_bridge:Found", "found_bridge", BRIDGE.format(name="found"))
    assert discover().bridges["found"].kind.__module__ == "found_bridge"


def test_the_built_in_ones_are_found_once_also_where_metadata_names_them(site: Site) -> None:
    site.add("llmspell-kernel-again", "log = llmspell_kernel.bridges.log:Log", "nothing_here", "")
    registry = discover()
    assert registry.bridges["log"].kind.__module__ == "llmspell_kernel.bridges.log"
    assert registry.failed == {}


def test_a_second_bridge_of_a_name_is_refused_naming_both(site: Site) -> None:
    site.add("other-log", "log = other_log:Found", "other_log", BRIDGE.format(name="log"))
    with pytest.raises(ConfigError, match=r"'log': llmspell_kernel\.bridges\.log and other_log:Found \(from other-log 1\.0\)"):
        discover()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import a_module_nobody_has", "ModuleNotFoundError"),
        ("raise RuntimeError('bad day')", "RuntimeError: bad day"),
        ("syntax error here", "SyntaxError"),
        ("Wrong = 1", "AttributeError"),
        ("class Found: pass", "not a subclass of llmspell_kernel.Bridge"),
        ("Found = 7", "not a subclass of llmspell_kernel.Bridge"),
        (BRIDGE.format(name="found").replace("async def", "def"), "must be an 'async def'"),
    ],
)
def test_a_bridge_that_cannot_be_used_is_named_and_the_others_work(site: Site, source: str, reason: str) -> None:
    site.add("bad-bridge", "bad = bad_bridge:Found", "bad_bridge", source)
    registry = discover()
    assert list(registry.failed) == ["bad"]
    assert reason in registry.failed["bad"] and "bad_bridge:Found (from bad-bridge 1.0)" in registry.failed["bad"]
    assert "log" in registry.bridges


def test_importing_all_bridges_imports_none_of_the_heavy_libraries() -> None:
    heavy = ["litellm", "openai", "httpx", "httpcore", "pydantic", "pydantic_ai", "langgraph", "IPython", "ipykernel", "lupa", "quickjs"]
    code = (
        "import sys; from llmspell_kernel.bridges._registry import discover; registry = discover(); "
        "assert [known.kind for known in registry.bridges.values()] and not registry.failed, registry; "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


BROKEN = "llmspell_kernel.bridges.timer"


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A built-in bridge whose module cannot be imported."""
    monkeypatch.setitem(sys.modules, BROKEN, None)
    yield


def test_a_built_in_bridge_that_cannot_be_imported_is_named_at_its_first_use_and_the_others_work(broken: None) -> None:
    registry = discover()
    failed = dict(registry.failed)
    declarations = Declarations(registry.bridges, failed)
    assert failed == {} and "timer" in declarations
    assert declarations.get("timer") is None
    assert list(failed) == ["timer"]
    assert failed["timer"].startswith(f"{BROKEN}: ModuleNotFoundError: import of {BROKEN} halted")
    with pytest.raises(KeyError, match="ModuleNotFoundError"):
        declarations["timer"]
    assert declarations["log"].name == "log"


def test_what_was_decided_without_a_declaration_never_meets_one_that_can_be_read_later(monkeypatch: pytest.MonkeyPatch) -> None:
    declarations = Declarations(discover().bridges, {})
    with monkeypatch.context() as context:
        context.setitem(sys.modules, BROKEN, None)
        assert declarations.get("timer") is None
    assert declarations.get("timer") is None
    assert Declarations(discover().bridges, {})["timer"].name == "timer"


def test_names_of_bridges_are_known_without_reading_any(broken: None) -> None:
    declarations = Declarations(discover().bridges, failed := {})
    assert {"log", "timer"} <= set(declarations) and len(declarations) == len(list(declarations)) and "nobody" not in declarations
    assert failed == {}


def test_a_kind_of_resource_is_found_by_its_name() -> None:
    declarations = Declarations(discover().bridges, {})
    kind = declarations.of_resource("llm.stream")
    assert kind is not None and kind.type == "llm.stream"
    assert [declarations.of_resource(name) for name in ("llm.nothing", "nobody.stream", "llm", "")] == [None] * 4
