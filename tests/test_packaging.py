"""What the wheel carries, that `pip install` alone gives the kernels, and that the lock files agree with everything else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import llmspell_kernel
from llmspell_kernel.installation import LOCAL_MODEL_PINS

ROOT = Path(__file__).parents[1]
SPECS = {
    "llmspell": ("LLMSpell", "python"),
    "llmspell-lua": ("LLMSpell (Lua)", "lua"),
    "llmspell-js": ("LLMSpell (JavaScript)", "javascript"),
}
LOCKS = ["requirements.lock", "requirements-local-weights.lock", "binder/requirements.txt"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT], check=True, stdout=subprocess.DEVNULL
    )
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def contents(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_carries_every_file_of_the_package(contents: set[str]) -> None:
    ours = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "llmspell_kernel").rglob("*")
        if path.is_file() and path.suffix != ".pyc" and "node_modules" not in path.parts
    }
    assert ours <= contents


def test_the_wheel_carries_nothing_but_the_package(contents: set[str]) -> None:
    dist = f"llmspell_kernel-{llmspell_kernel.__version__}"
    assert {name.split("/")[0] for name in contents} == {"llmspell_kernel", f"{dist}.dist-info", f"{dist}.data"}
    assert f"{dist}.dist-info/licenses/LICENSE" in contents
    assert not any(name.endswith((".pyc", ".ipynb")) for name in contents)


@pytest.mark.parametrize("name", SPECS)
def test_the_wheel_carries_the_kernelspec_with_its_logos(contents: set[str], name: str) -> None:
    folder = f"llmspell_kernel-{llmspell_kernel.__version__}.data/data/share/jupyter/kernels/{name}"
    assert {f"{folder}/{path.name}" for path in (ROOT / "kernelspecs" / name).iterdir()} <= contents


def test_the_wheel_names_its_command(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    points = archive.read(next(name for name in archive.namelist() if name.endswith("entry_points.txt"))).decode()
    assert "llmspell = llmspell_kernel.cli:main" in points


def test_pip_install_alone_gives_the_kernels(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    python = venv / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True)
    # dependencies come from this environment; the package itself and its kernels only from the new one
    site = next((venv / "lib").glob("python*/site-packages"))
    (site / "dependencies.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")), encoding="utf-8")
    environ = {"PATH": f"{venv / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path), "JUPYTER_PREFER_ENV_PATH": "1"}
    listed = subprocess.run(
        [python, "-m", "jupyter_client.kernelspecapp", "list", "--json"], env=environ, cwd=tmp_path, capture_output=True, check=True
    )
    found = json.loads(listed.stdout)["kernelspecs"]
    for name in SPECS:
        assert found[name]["resource_dir"] == str(venv / "share" / "jupyter" / "kernels" / name)
    version = subprocess.run(
        [venv / "bin" / "llmspell", "--version"], env=environ, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert version.stdout.split()[-1] == llmspell_kernel.__version__
    # an installed package finds its own kernelspecs by pip's record, wherever pip put them
    subprocess.run([venv / "bin" / "llmspell", "kernel", "install", "--prefix", tmp_path / "else"], env=environ, cwd=tmp_path, check=True)
    written = json.loads((tmp_path / "else" / "share" / "jupyter" / "kernels" / "llmspell-lua" / "kernel.json").read_text(encoding="utf-8"))
    assert written["argv"][0] == str(python)


@pytest.mark.parametrize("name", SPECS)
def test_a_kernelspec_says_what_it_is(name: str) -> None:
    spec = json.loads((ROOT / "kernelspecs" / name / "kernel.json").read_text(encoding="utf-8"))
    title, language = SPECS[name]
    assert spec == {
        "argv": ["python", "-m", "llmspell_kernel", "--spec", name, "-f", "{connection_file}"],
        "display_name": title,
        "language": language,
        "interrupt_mode": "signal",
        "metadata": {"debugger": False},
    }


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("size", [32, 64])
def test_a_logo_has_the_size_its_name_says(name: str, size: int) -> None:
    data = (ROOT / "kernelspecs" / name / f"logo-{size}x{size}.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) == (size, size)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index_and_every_line_has_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text and "--find-links" not in text and "index-url" not in text
    entries = re.split(r"\n(?=[a-z0-9])", text.strip(), flags=re.IGNORECASE)
    assert entries and all("==" in entry and "--hash=sha256:" in entry for entry in entries)


def test_the_lock_covers_every_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    locked = _pins(ROOT / "requirements.lock")
    assert {_name(line) for line in declared} <= set(locked)


def test_the_lock_stays_within_the_declared_versions() -> None:
    from packaging.requirements import Requirement

    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = _pins(ROOT / "requirements.lock")
    for line in [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(locked[_name(line)]), line


def test_the_command_installs_the_local_model_that_the_locks_name() -> None:
    locked = _pins(ROOT / "requirements.lock") | _pins(ROOT / "requirements-local-weights.lock")
    assert {name: locked[name] for name in LOCAL_MODEL_PINS} == LOCAL_MODEL_PINS


def test_binder_and_everything_else_use_the_same_versions() -> None:
    binder, everything = _pins(ROOT / "binder" / "requirements.txt"), _pins(ROOT / "requirements.lock")
    assert {name: everything.get(name) for name in binder} == binder


def test_the_readme_opens_with_the_two_commands() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert [line.split("#")[0].strip() for line in blocks[0].strip().splitlines()] == ["make demo", "make test"]


def test_the_contributors_guide_names_every_make_target() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert phony is not None
    for target in phony[1].split():
        assert f"`make {target}`" in guide, target


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def _pins(path: Path) -> dict[str, str]:
    """Name and version of each entry; of two for different Pythons, the last."""
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.IGNORECASE))
