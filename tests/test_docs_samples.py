"""Every sample of the written pages does what the page says: run in order, page by page, in a notebook's shell and a folder of its own."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_kernel.observe.event_log import LOGGER

from .page_samples import Page, agrees, blocks

ROOT = Path(__file__).parents[1]
MADE = {"bridges.md", "performance.md"}
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name not in MADE)]
SETTINGS = 'model = "spell/echo"\ndisplay = "static"\n'


@pytest.fixture
def _logging_as_it_was() -> Iterator[None]:
    """A page shows how events are logged, in this process."""
    logger = logging.getLogger(LOGGER)
    kept = logger.handlers[:]
    yield
    for handler in [handler for handler in logger.handlers if handler not in kept]:
        logger.removeHandler(handler)
        handler.close()


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _logging_as_it_was: None) -> Iterator[Page]:
    """A user whose models and displays are always the same, in an empty folder."""
    for name in [name for name in os.environ if name.startswith("LLMSPELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / ".ipython"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("LLMSPELL_SCRIPT", "answers.json")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(sys, "path", list(sys.path))
    config = tmp_path / ".config" / "llmspell" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(SETTINGS, encoding="utf-8")
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    before = set(sys.modules)
    made = Page(folder)
    yield made
    made.close()
    for name in [name for name in os.environ if name.startswith("LLMSPELL_")]:  # that the page has set
        del os.environ[name]
    for name in set(sys.modules) - before:  # modules that the page has written
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)) or name == "__main__":
            del sys.modules[name]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_sample_of_the_page_runs_and_gives_what_the_page_says(path: Path, page: Page) -> None:
    found = blocks(path)
    assert found, f"{path.name} shows nothing"
    for block in found:
        printed = page.run(block)
        if printed is not None and block.expected is not None:
            assert agrees(block.expected, printed), f"{block.place} says\n{block.expected}\nand gives\n{printed}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_is_not_run_says_why(path: Path) -> None:
    for block in blocks(path):
        assert block.says.partition(": ")[0] in ("", "fails", "file", "not run"), f"{block.place}: <!-- {block.says} -->"
        assert not block.says.startswith("not run") or block.is_only_read and len(block.says) > len("not run: "), block.place


def test_a_sample_whose_output_is_another_is_told(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "wrong.md"
    path.write_text("```lua\nreturn 1\n```\n```text\n2\n```\n", encoding="utf-8")
    (block,) = blocks(path)
    assert block.expected == "2\n" and not agrees(block.expected, page.run(block) or "")


def test_a_sample_that_fails_is_told(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "wrong.md"
    path.write_text("```js\nnull.x\n```\n\n```sh\nfalse\n```\n", encoding="utf-8")
    for block in blocks(path):
        with pytest.raises(AssertionError, match=r"wrong.md:\d+: failed"):
            page.run(block)
