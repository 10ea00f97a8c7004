"""`llmspell kernel ...`: kernels written for a Jupyter elsewhere, found again, and taken back."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llmspell_kernel.cli._folder import root

NAMES = ["llmspell", "llmspell-js", "llmspell-lua"]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's Jupyter data folder; nothing else is searched."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "user"))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "prefix" / "share" / "jupyter"))
    monkeypatch.setattr("jupyter_core.paths.ENV_JUPYTER_PATH", [])
    monkeypatch.setattr("jupyter_core.paths.SYSTEM_JUPYTER_PATH", [])
    return tmp_path / "user"


def llmspell(*arguments: str) -> Result:
    return CliRunner().invoke(root(), ["kernel", *arguments])


def listed() -> dict[str, dict[str, str]]:
    return {spec["name"]: spec for spec in json.loads(llmspell("list", "--json").output)}


def test_installed_kernels_start_this_python_and_keep_their_logos(data: Path) -> None:
    assert llmspell("install", "--user").exit_code == 0
    for name in NAMES:
        folder = data / "kernels" / name
        spec = json.loads((folder / "kernel.json").read_text(encoding="utf-8"))
        assert spec["argv"] == [sys.executable, "-m", "llmspell_kernel", "--spec", name, "-f", "{connection_file}"]
        assert {path.name for path in folder.iterdir()} == {"kernel.json", "logo-svg.svg", "logo-32x32.png", "logo-64x64.png"}


def test_installing_again_replaces(data: Path) -> None:
    llmspell("install")
    (data / "kernels" / "llmspell" / "kernel.json").write_text("{}", encoding="utf-8")
    assert llmspell("install").exit_code == 0
    assert sorted(listed()) == NAMES


def test_another_name_gives_other_kernels_that_run_the_same_spec(data: Path) -> None:
    assert llmspell("install", "--name", "work").exit_code == 0
    assert sorted(listed()) == ["work", "work-js", "work-lua"]
    assert listed()["work-lua"]["display_name"] == "LLMSpell (Lua) [work]"
    spec = json.loads((data / "kernels" / "work-lua" / "kernel.json").read_text(encoding="utf-8"))
    assert spec["argv"][4] == "llmspell-lua"


def test_a_prefix_is_written_to(data: Path, tmp_path: Path) -> None:
    assert llmspell("install", "--prefix", str(tmp_path / "prefix")).exit_code == 0
    assert (tmp_path / "prefix" / "share" / "jupyter" / "kernels" / "llmspell-js" / "kernel.json").is_file()
    assert not data.exists()


@pytest.mark.parametrize("name", ["Work", "a b", "../up", ""])
def test_a_name_that_jupyter_would_refuse_is_one_error(data: Path, name: str) -> None:
    result = llmspell("install", "--name", name)
    assert result.exit_code == 2 and "lower-case letters" in result.output
    assert not data.exists()


def test_two_places_exclude_each_other(data: Path) -> None:
    assert llmspell("install", "--user", "--prefix", "/tmp").exit_code == 2


def test_removed_kernels_are_gone_and_the_others_stay(data: Path) -> None:
    llmspell("install")
    assert llmspell("remove", "llmspell-lua", "llmspell-js").exit_code == 0
    assert sorted(listed()) == ["llmspell"]


def test_kernels_of_another_environment_are_taken_back_from_there_alone(data: Path, tmp_path: Path) -> None:
    llmspell("install")
    there = tmp_path / "env"
    assert llmspell("install", "--prefix", str(there)).exit_code == 0
    removed = llmspell("remove", "--prefix", str(there), "llmspell")
    assert removed.exit_code == 0, removed.output
    assert sorted(path.name for path in (there / "share" / "jupyter" / "kernels").iterdir()) == NAMES[1:]
    assert sorted(listed()) == NAMES


def test_an_unknown_kernel_suggests_the_nearest_and_removes_nothing(data: Path) -> None:
    llmspell("install")
    result = llmspell("remove", "llmspell", "llmspell-luna")
    assert result.exit_code == 2 and "did you mean 'llmspell-lua'" in result.output
    assert sorted(listed()) == NAMES


def test_kernels_of_other_packages_are_not_ours_to_list_or_remove(data: Path) -> None:
    folder = data / "kernels" / "other"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text('{"argv": ["python", "-m", "other"], "display_name": "Other", "language": "x"}', encoding="utf-8")
    (data / "kernels" / "broken").mkdir()
    (data / "kernels" / "broken" / "kernel.json").write_text("not json", encoding="utf-8")
    assert listed() == {}
    assert llmspell("remove", "other").exit_code == 2
    assert folder.is_dir()


def test_kernels_that_came_with_the_package_are_left_to_pip(data: Path) -> None:
    folder = data / "kernels" / "llmspell"
    folder.mkdir(parents=True)
    shipped = Path(__file__).parents[2] / "kernelspecs" / "llmspell" / "kernel.json"
    (folder / "kernel.json").write_bytes(shipped.read_bytes())
    result = llmspell("remove", "llmspell")
    assert result.exit_code == 2 and "pip uninstall llmspell-kernel" in result.output
    assert folder.is_dir()


def test_no_kernels_says_how_to_install_them(data: Path) -> None:
    assert "llmspell kernel install --user" in llmspell("list").output
