"""What package metadata says: tried with made-up distributions on the import path."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_kernel import installation
from llmspell_kernel.installation import installed, plugins, version_of


def add(folder: Path, name: str, version: str, files: dict[str, bytes] | None = None) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    for path, content in (files or {}).items():
        (folder / path).write_bytes(content)
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in [*(files or {}), "gone.pyc"]), encoding="utf-8")


def test_disk_space_counts_the_recorded_files_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path, "made-up", "1.2", {"made_up.py": b"x" * 1000})
    monkeypatch.syspath_prepend(tmp_path)
    assert installed("made-up") == ("1.2", 1000)


def test_what_is_not_installed_has_no_version() -> None:
    assert version_of("no-such-distribution-anywhere") is None
    assert installed("no-such-distribution-anywhere") is None


def offer(folder: Path, name: str, version: str, entry: str) -> None:
    add(folder, name, version)
    (folder / f"{name.replace('-', '_')}-{version}.dist-info" / "entry_points.txt").write_text(entry, encoding="utf-8")


def names_of_bridges() -> list[str]:
    return [point.name for point in plugins("llmspell.bridges") if point.value.startswith("made_up")]


def test_plugins_are_those_of_the_distribution_that_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new, old, other = (tmp_path / name for name in ("new", "old", "other"))
    offer(old, "made-up", "1.0", "[llmspell.bridges]\nold = made_up:Old\n[console_scripts]\ntool = made_up:tool\n")
    monkeypatch.syspath_prepend(old)
    assert names_of_bridges() == ["old"]
    offer(new, "made-up", "2.0", "[console_scripts]\ntool = made_up:tool\n")
    monkeypatch.syspath_prepend(new)
    assert names_of_bridges() == []
    offer(other, "made-up-more", "1.0", "[llmspell.bridges]\nmore = made_up_more:More\n[llmspell.engines]\nmore = made_up_more:more\n")
    monkeypatch.syspath_prepend(other)
    assert names_of_bridges() == ["more"]
    (point,) = [point for point in plugins("llmspell.bridges") if point.name == "more"]
    assert point.dist is not None and point.dist.version == "1.0"


def test_what_an_uninstall_left_half_there_offers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(tmp_path, "made-up", "1.0", "[llmspell.bridges]\nold = made_up:Old\n")
    (tmp_path / "made_up-1.0.dist-info" / "METADATA").unlink()
    monkeypatch.syspath_prepend(tmp_path)
    assert names_of_bridges() == []


def test_a_folder_is_looked_through_once_for_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins("llmspell.engines")
    looked: list[list[str]] = []
    monkeypatch.setattr(installation, "distributions", lambda path: looked.append(path) or [])  # type: ignore[func-returns-value]
    monkeypatch.syspath_prepend(tmp_path)
    plugins("llmspell.bridges")
    plugins("llmspell.engines")
    assert looked == [[str(tmp_path)]]
