"""Which of the two packages that own the module `quickjs` is installed: tried with made-up distributions on the import path."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_kernel.engines.javascript.installed import MEND, problem


def archived(folder: Path) -> None:
    info = folder / "quickjs-1.19.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: quickjs\nVersion: 1.19.4\n", encoding="utf-8")


def test_quickjs_ng_alone_is_well() -> None:
    assert problem() is None


def test_the_archived_quickjs_beside_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archived(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    told = problem()
    assert told is not None and "beside" in told and told.endswith(MEND)


def test_the_archived_quickjs_instead_of_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archived(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    told = problem()
    assert told is not None and "instead of" in told and told.endswith(MEND)


def test_no_javascript_at_all_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    told = problem()
    assert told is not None and told.endswith("pip install quickjs-ng")
