"""`llmspell engines`: the table, and the same facts as JSON."""

from __future__ import annotations

import json

from click.testing import CliRunner

from llmspell_kernel.cli._folder import root
from llmspell_kernel.engines._declaration import FEATURES


def test_every_engine_is_listed_with_its_magics_endings_and_features() -> None:
    shown = CliRunner().invoke(root(), ["engines"])
    assert shown.exit_code == 0
    assert "Lua 5.4" in shown.output and "%%javascript %%js" in shown.output and ".js .mjs" in shown.output
    assert "features: instruction_limit, soft_interrupt" in shown.output and "library: lupa" in shown.output
    assert max(map(len, shown.output.splitlines())) <= 80


def test_json_has_every_fact() -> None:
    engines = {row["name"]: row for row in json.loads(CliRunner().invoke(root(), ["engines", "--json"]).output)}
    lua = engines["lua"]
    assert (lua["title"], lua["language_version"], lua["aliases"], lua["magics"]) == ("Lua", "5.4", [], ["%%lua"])
    assert (lua["file_endings"], lua["mime_types"], lua["kernelspec"], lua["problem"]) == ([".lua"], ["text/x-lua"], "llmspell-lua", "")
    assert list(lua["features"]) == list(FEATURES) and lua["features"]["soft_interrupt"] and not lua["features"]["await"]
    assert lua["library"] == "lupa" and lua["library_version"]
    assert engines["javascript"]["aliases"] == ["js"] and engines["javascript"]["features"]["await"]
