"""What is recorded and what the settings say are one truth, whichever command changed it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from llmspell_kernel.errors import ConfigError, LoadError
from llmspell_kernel.kernel.extension import load_ipython_extension, unload_ipython_extension
from llmspell_kernel.kernel.notebook import Notebook


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMSPELL_MODEL", "spell/echo")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "notes.ipynb"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def notebook(folder: Path) -> Iterator[Notebook]:
    shell: Any = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    load_ipython_extension(shell)
    yield shell.llmspell.notebook
    unload_ipython_extension(shell)
    InteractiveShell.clear_instance()


def put_in_the_way(file: Path) -> None:
    """As a full disk is: the recording cannot be put in order any more."""
    file.unlink(missing_ok=True)
    file.mkdir()


@pytest.mark.parametrize("pair", ["journal=off", "cassette=b.cassette.jsonl"])
def test_where_the_last_recording_cannot_be_ended_all_else_is_as_it_was_set(notebook: Notebook, folder: Path, pair: str) -> None:
    notebook.configure("journal=record", "cassette=a.cassette.jsonl")
    put_in_the_way(folder / "a.cassette.jsonl")
    with pytest.raises(ConfigError, match="could not be put in order"):
        notebook.configure(pair, "seed=5", "keep_journal=false", "observe.logs=true")
    assert notebook.session.taping is None
    assert (notebook.settings.journal, notebook.settings.seed) == ("off", 5)
    assert notebook.session._event_file is None
    assert notebook._observation.is_on


def test_where_the_cassette_of_a_recording_cannot_be_played_nothing_is_recorded_and_the_settings_say_so(
    notebook: Notebook, folder: Path
) -> None:
    """The recording is ended before its own file is read."""
    notebook.configure("journal=record", "cassette=a.cassette.jsonl")
    put_in_the_way(folder / "a.cassette.jsonl")
    with pytest.raises((ConfigError, LoadError)):
        notebook.configure("journal=replay")
    assert (notebook.session.taping, notebook.settings.journal) == (None, "off")


def test_where_nothing_is_played_the_observation_that_goes_on_is_the_one_that_was(notebook: Notebook) -> None:
    notebook.configure("observe.logs=true")
    observation = notebook._observation
    with pytest.raises(LoadError):
        notebook.configure("journal=replay", "observe.logs=false")
    assert notebook._observation is observation and observation.is_on
    assert notebook.settings.observe == {"logs": True}


@pytest.mark.parametrize("mode", ["record", "auto"])
def test_a_recording_that_a_command_began_goes_on_in_the_cassette_that_is_set_next(notebook: Notebook, mode: str) -> None:
    notebook.tape(mode, "a.cassette.jsonl")
    notebook.configure("cassette=b.cassette.jsonl")
    assert notebook.session.taping is not None
    assert (notebook.session.taping.mode, notebook.session.taping.file.name) == (mode, "b.cassette.jsonl")


def test_the_settings_say_what_a_command_began_and_ended_and_which_command_it_was(notebook: Notebook, folder: Path) -> None:
    notebook.tape("record", "a.cassette.jsonl")
    assert (notebook.settings.journal, notebook.settings.cassette) == ("record", "a.cassette.jsonl")
    assert {str(notebook.settings.origin(key)) for key in ("journal", "cassette")} == {"%llmspell record"}
    notebook.end_taping()
    assert notebook.settings.journal == "off"
    notebook.tape("replay")  # what was just recorded
    assert (notebook.settings.journal, str(notebook.settings.origin("journal"))) == ("replay", "%llmspell replay")


def test_a_command_uses_the_cassette_of_the_settings_and_else_the_one_beside_the_notebook(notebook: Notebook) -> None:
    assert notebook.tape("record").file.name == "notes.cassette.jsonl"
    assert notebook.settings.cassette == ""
    notebook.configure("cassette=kept.cassette.jsonl", "journal=off")
    assert notebook.tape("record").file.name == "kept.cassette.jsonl"


def test_a_command_that_fails_leaves_the_settings_as_they_were(notebook: Notebook) -> None:
    before = notebook.settings
    for mode, file in (("replay", "none.cassette.jsonl"), ("record", "notes.ipynb"), ("play", "a.cassette.jsonl")):
        with pytest.raises((ConfigError, LoadError)):
            notebook.tape(mode, file)
    assert notebook.end_taping() is None
    assert (notebook.settings, notebook.session.taping) == (before, None)


def test_what_cannot_be_ended_is_over_all_the_same(notebook: Notebook, folder: Path) -> None:
    notebook.tape("record", "a.cassette.jsonl")
    put_in_the_way(folder / "a.cassette.jsonl")
    with pytest.raises(ConfigError, match="could not be put in order"):
        notebook.end_taping()
    assert (notebook.session.taping, notebook.settings.journal) == (None, "off")


def test_a_state_of_no_language_is_one_line_without_our_frames(notebook: Notebook) -> None:
    with pytest.raises(ConfigError, match="luaa") as caught:
        _ = notebook.states["luaa"]
    assert hasattr(caught.value, "_render_traceback_")
