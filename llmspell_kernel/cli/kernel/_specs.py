"""The kernelspecs that this package ships, and how they are written for a Jupyter in another environment."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from ...engines._registry import built_in
from ...errors import ConfigError

PLAIN = "llmspell"


def shipped() -> Iterator[tuple[str, Path]]:
    """Name and folder of each kernelspec of this installation.  Raises ConfigError when the installation is damaged."""
    for name in (PLAIN, *(engine.kernelspec for engine in built_in() if engine.kernelspec)):
        yield name, _folder(name)


def write(source: Path, target: Path, python: str, title: str) -> None:
    """A copy of a kernelspec that starts `python`, an absolute path; `title` is added to its display name."""
    shutil.copytree(source, target)
    spec = json.loads((source / "kernel.json").read_text(encoding="utf-8"))
    spec["argv"][0] = python
    if title:
        spec["display_name"] = f"{spec['display_name']} [{title}]"
    (target / "kernel.json").write_text(json.dumps(spec, indent=2) + "\n", encoding="utf-8")


def _folder(name: str) -> Path:
    """Where the installer put the folder: by its own record, since data goes elsewhere with --user, --prefix and on Debian."""
    for candidate in _recorded(name):
        if (candidate / "kernel.json").is_file():
            return candidate
    checkout = Path(__file__).parents[3] / "kernelspecs" / name
    if (checkout / "kernel.json").is_file():
        return checkout
    raise ConfigError(
        f"this installation lacks the kernelspec '{name}'. Mend it with: pip install --force-reinstall --no-deps llmspell-kernel"
    )


def _recorded(name: str) -> Iterator[Path]:
    try:
        recorded = files("llmspell-kernel") or []
    except PackageNotFoundError:
        return
    for path in recorded:
        if path.parts[-4:] == ("jupyter", "kernels", name, "kernel.json"):
            yield Path(str(path.locate())).resolve().parent
