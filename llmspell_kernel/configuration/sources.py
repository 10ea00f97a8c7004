"""Reads the user's file, the project's file and the environment.  The only place that does.

- The user's file is `llmspell/config.toml` in $XDG_CONFIG_HOME, else in ~/.config; what is kept for them is in $XDG_STATE_HOME, else in
  ~/.local/state.
- The project's file is `llmspell.toml` in the working directory (which for a notebook is its own folder), else in the nearest folder above
  it.  The search ends below the home directory, at the border of a file system, and below a folder that everyone may write to (/tmp): what
  lies there was perhaps put there for us to find.
- Of the environment: LLMSPELL_PRESET, LLMSPELL_DISPLAY, LLMSPELL_SEED, LLMSPELL_MODEL, LLMSPELL_ENGINE, LLMSPELL_JOURNAL,
  LLMSPELL_CASSETTE, LLMSPELL_KEEP_JOURNAL, LLMSPELL_CONFINEMENT: a key without a dot, in capitals.  An empty one is not set.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..engines._registry import EngineRegistry
from ..errors import ConfigError
from ..settings import Origin, Settings
from .rules import CHECKS, TRUST, Entry, apply, check_whole, value_of, wrong

PROJECT_FILE = "llmspell.toml"
VARIABLES = {f"LLMSPELL_{key.upper()}": key for key in CHECKS if "." not in key}
MAX_FILE_BYTES = 1024 * 1024
"""A settings file is a page of text; a larger one is something else."""
WRITABLE_BY_ALL = 0o002


class Places(NamedTuple):
    """Where settings are read from; a user's file need not be there."""

    user: Path
    project: Path | None
    folder: Path
    home: Path

    def shown(self, path: Path) -> str:
        """Short, as a person would write it.  Scripts read it in refusals, so it names no folder above these."""
        for root, sign in ((self.folder, ""), (self.home, "~/")):
            if path.is_relative_to(root):
                return sign + str(path.relative_to(root))
        return str(Path("…", *path.parts[-2:]))


def places(environ: Mapping[str, str], folder: Path) -> Places:
    folder, home = folder.absolute(), _home(environ)
    return Places(_of_user(environ, "XDG_CONFIG_HOME", ".config") / "config.toml", _project_file(folder, home), folder, home)


def state_folder(environ: Mapping[str, str]) -> Path:
    """Where lies what lasts beyond a project for its user, such as the record of the days' budgets."""
    return _of_user(environ, "XDG_STATE_HOME", ".local/state")


def _of_user(environ: Mapping[str, str], variable: str, default: str) -> Path:
    """A folder of ours, as the XDG specification has it: a path that is not absolute is to be ignored."""
    given = Path(environ.get(variable, ""))
    return (given if given.is_absolute() else _home(environ) / default) / "llmspell"


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or Path.home()).absolute()


def read_settings(environ: Mapping[str, str], folder: Path, engines: EngineRegistry, more: Sequence[Entry] = ()) -> Settings:
    """The settings that hold in a folder; `more` is the command line.  Raises ConfigError for the first thing that is wrong."""
    found, names = places(environ, folder), names_of(engines)
    user = _entries(found.user, found, (*CHECKS, TRUST))
    trusted = [path for entry in user if entry.key == TRUST for path in _trusted(entry, found.home)]
    settings = apply(Settings(), [entry for entry in user if entry.key != TRUST], engines=names)
    if found.project is not None:
        home = found.project.parent.resolve()
        guest = not any(home.is_relative_to(path) for path in trusted)
        settings = apply(settings, _entries(found.project, found, (*CHECKS, TRUST)), engines=names, guest=guest)
    settings = apply(apply(settings, _environment(environ), engines=names), more, engines=names)
    check_whole(settings)
    return settings


def read_project_file(file: Path, environ: Mapping[str, str], folder: Path, engines: EngineRegistry, *, own: bool) -> Settings:
    """What would hold if this were the project's file, over the user's own settings; `own` takes it as the user's.

    Raises ConfigError, also where there is no such file.
    """
    found, names = places(environ, folder), names_of(engines)
    if not file.exists():
        raise ConfigError("there is no such file", file=str(file))
    user = [entry for entry in _entries(found.user, found, (*CHECKS, TRUST)) if entry.key != TRUST]
    settings = apply(Settings(), user, engines=names)
    settings = apply(settings, _entries(file, found, (*CHECKS, TRUST)), engines=names, guest=not own)
    check_whole(settings)
    return settings


def names_of(engines: EngineRegistry) -> list[str]:
    return [name for engine in engines for name in (engine.name, *engine.aliases)]


def _environment(environ: Mapping[str, str]) -> list[Entry]:
    given = ((name, key, environ.get(name, "").strip()) for name, key in VARIABLES.items())
    return [Entry(key, value_of(key, text), Origin(name)) for name, key, text in given if text]


def _entries(path: Path, found: Places, known: Collection[str]) -> list[Entry]:
    from .toml_file import entries  # most have no such file

    name = found.shown(path)
    data = _read(path, name)
    if data is None:
        return []
    try:
        found_here = entries(data.decode("utf-8-sig"), name, known)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"not UTF-8 text (byte 0x{data[error.start]:02x}); save it as UTF-8", file=name, line=line) from None
    return [_placed(entry, path.parent, found.home) for entry in found_here]


def _placed(entry: Entry, folder: Path, home: Path) -> Entry:
    """A file that a settings file names lies beside it, wherever the settings are used."""
    name = entry.value.strip() if isinstance(entry.value, str) else ""
    if not entry.key.startswith("init.") or not name:
        return entry
    return entry._replace(value=str(home / name[2:] if name.startswith("~/") else folder / name))


def _read(path: Path, name: str) -> bytes | None:
    try:
        if not path.exists():
            return None
        if not path.is_file():
            raise ConfigError("is not a file", file=name)
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", file=name) from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"is larger than {MAX_FILE_BYTES // 1024} KiB: is it a settings file?", file=name)
    return data


def _trusted(entry: Entry, home: Path) -> list[Path]:
    if not isinstance(entry.value, list) or not all(isinstance(item, str) for item in entry.value):
        raise wrong(entry.key, entry.origin, 'must be a list of folders such as ["~/spells"]')
    folders = [home / item[2:] if item.startswith("~/") else Path(item) for item in entry.value]
    for folder in folders:
        if not folder.is_absolute():
            raise wrong(entry.key, entry.origin, f"'{folder}' must begin with / or ~/")
    return [folder.resolve() for folder in folders]


def _project_file(folder: Path, home: Path) -> Path | None:
    try:
        device = folder.stat().st_dev
        for place in (folder, *folder.parents):
            if place != folder and (place in (home, *home.parents) or _is_border(place, device)):
                return None
            if (place / PROJECT_FILE).exists():
                return place / PROJECT_FILE
    except OSError:
        return None  # a folder that we may not look into is where the search ends
    return None


def _is_border(place: Path, device: int) -> bool:
    status = place.stat()
    return status.st_dev != device or bool(status.st_mode & WRITABLE_BY_ALL)
