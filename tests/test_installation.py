"""What package metadata says: tried with made-up distributions on the import path."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_kernel.installation import installed, version_of


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
