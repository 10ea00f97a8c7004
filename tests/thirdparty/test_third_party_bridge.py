"""A bridge from a package of its own: built as a wheel, installed in a fresh environment, found and used with public names only."""

import ast
import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
WEATHER = HERE / "weather_bridge"
PUBLIC = {"__future__", "typing", "msgspec", "llmspell_kernel", "llmspell_kernel.errors", "llmspell_kernel.values"}

LUA = """
local days = {}
for day in weather.forecast("Oslo", {days = 2}) do days[#days + 1] = day.degrees end
local doubled = weather.each_day("Oslo", function(degrees) return degrees * 2 end, {days = 2})
local ok, refused = pcall(weather.today, "Oslo", {unti = "celsius"})
local fine, failed = pcall(weather.today, "Atlantis")
return {
  today = weather.today("Oslo", {unit = "fahrenheit"}),
  days = days,
  doubled = doubled,
  refused = {ok, refused.code, refused.message},
  failed = {fine, failed.code},
}
"""
JAVASCRIPT = """
const days = [];
for await (const day of weather.forecast("Oslo", {days: 2})) days.push(day.degrees);
const doubled = await weather.eachDay("Oslo", degrees => degrees * 2, {days: 2});
const refused = await weather.today("Oslo", {unti: "celsius"}).catch(error => error);
const failed = await weather.today("Atlantis").catch(error => error);
({
  today: await weather.today("Oslo", {unit: "fahrenheit"}),
  days,
  doubled,
  refused: [!(refused instanceof Error), refused.code, refused.message],
  failed: [!(failed instanceof Error), failed.code],
})
"""
ANSWER = {
    "today": {"city": "Oslo", "degrees": 61.52},
    "days": [16.4, 16.46],
    "doubled": [32.8, 32.92],
    "refused": [False, "argument", "weather.today: options has no key 'unti'; did you mean 'unit'?"],
    "failed": [False, "bridge"],
}
PROBE = """
import json
from llmspell_kernel.bridges._catalogue import signature, worker_catalogue
from llmspell_kernel.bridges._registry import discover
from llmspell_kernel.errors import ArgumentError

import llmspell_kernel, llmspell_weather
registry = discover()
weather = registry.bridges["weather"].declaration
try:
    weather.methods["today"].bind([1])
except ArgumentError as error:
    refused = str(error)
print(json.dumps({
    "homes": [llmspell_kernel.__file__, llmspell_weather.__file__],
    "failed": dict(registry.failed),
    "bridges": sorted(registry.bridges),
    "catalogue": worker_catalogue([weather]),
    "signature": signature(weather, "each_day", "camel"),
    "unit": weather.methods["today"].bind(["Oslo", {"unit": "fahrenheit"}])[1].unit,
    "refused": refused,
}))
"""


def run(command: Sequence[str | Path], cwd: Path, environ: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=100, env=environ)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


class Environment:
    """A fresh virtual environment, used from a folder that holds nothing of the source tree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "environment"
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()
        venv.create(self.folder, with_pip=False, symlinks=True)
        self.python = self.folder / "bin" / "python"
        self.site = Path(sysconfig.get_path("purelib", "venv", {"base": str(self.folder), "platbase": str(self.folder)}))

    def borrow_dependencies(self) -> None:
        # Installing lupa, ipykernel, litellm ... again would need a network and minutes.  A .pth line appends the running environment's
        # folders to the path after the fresh one's, so the dependencies are borrowed while both wheels come from the fresh environment.
        # .pth files inside those folders are not read, so an editable installation there stays out.
        folders = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
        (self.site / "borrowed.pth").write_text("\n".join(folders) + "\n")

    def install(self, *wheels: Path) -> None:
        pip = [sys.executable, "-m", "pip", "--python", self.python, "install", "--no-deps", "--no-index", "--quiet"]
        run([*pip, *wheels], self.elsewhere)

    def run(self, *command: str | Path) -> str:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LLMSPELL_"))}
        return run(command, self.elsewhere, {**environ, "LLMSPELL_MODEL": "spell/echo"})


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("thirdparty")
    for project in (PROJECT, WEATHER):
        run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "wheels", project], folder)
    fresh = Environment(folder)
    fresh.install(*sorted((folder / "wheels").glob("*.whl")))
    fresh.borrow_dependencies()
    return fresh


def test_the_bridge_imports_public_names_only() -> None:
    nodes = list(ast.walk(ast.parse((WEATHER / "llmspell_weather" / "__init__.py").read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert names <= PUBLIC


def test_an_installed_bridge_is_found_and_declared_beside_the_built_in_ones(environment: Environment) -> None:
    found: dict[str, Any] = json.loads(environment.run(environment.python, "-c", PROBE))
    assert all(Path(home).is_relative_to(environment.site) for home in found["homes"])
    assert found["failed"] == {}
    assert {"llm", "log", "timer", "ui", "weather"} <= set(found["bridges"])
    assert found["catalogue"] == {
        "bridges": {"weather": ["each_day", "forecast", "now", "today"]},
        "aliases": {},
        "several": {},
        "loops": {"weather": ["forecast"]},
        "resources": {"weather.forecast": {"methods": ["next"], "iterate": "next"}},
    }
    assert found["signature"] == "weather.eachDay(city: string, work: function, options?: Options) -> list"
    assert found["unit"] == "fahrenheit"
    assert found["refused"] == "weather.today: argument 1 (city) must be a string, not a number"


@pytest.mark.parametrize(("name", "script"), [("spell.lua", LUA), ("spell.js", JAVASCRIPT)])
def test_a_script_uses_its_methods_options_resource_and_callback(environment: Environment, name: str, script: str) -> None:
    (environment.elsewhere / name).write_text(script)
    output = environment.run(environment.folder / "bin" / "llmspell", "run", name, "--json")
    assert json.loads(output.splitlines()[-1]) == ANSWER
