"""Where settings are read: the user's file, the project's file, the environment, the command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmspell_kernel.configuration.rules import Entry
from llmspell_kernel.configuration.sources import MAX_FILE_BYTES, places, read_settings, state_folder
from llmspell_kernel.engines._registry import discover
from llmspell_kernel.errors import ConfigError
from llmspell_kernel.policy.limits import PRESETS, limits_of
from llmspell_kernel.settings import Origin, Settings


class Home:
    """A home directory with a project in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.project = path / "spells" / "tea"
        self.work = self.project / "notebooks"
        self.work.mkdir(parents=True)
        self.environ = {"HOME": str(path)}

    def user(self, text: str) -> None:
        file = self.path / ".config" / "llmspell" / "config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def read(self, *more: Entry, folder: Path | None = None) -> Settings:
        return read_settings(self.environ, folder or self.work, discover(), more)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.mark.parametrize("state", ["", "not/absolute"])
def test_what_is_kept_for_a_user_lies_where_the_xdg_specification_says(state: str) -> None:
    assert state_folder({"HOME": "/home/ann", "XDG_STATE_HOME": state}) == Path("/home/ann/.local/state/llmspell")
    assert state_folder({"HOME": "/home/ann", "XDG_STATE_HOME": "/var/ann"}) == Path("/var/ann/llmspell")


def test_without_any_file_or_variable_all_is_default(home: Home) -> None:
    assert home.read() == Settings()


def test_each_layer_wins_over_those_before_it_and_says_where_it_is(home: Home) -> None:
    home.user('seed = 1\ndisplay = "live"\nmodel = "spell/local"\nengine = "lua"\npreset = "strict"\n')
    (home.work / "llmspell.toml").write_text('display = "static"\nmodel = "spell/echo"\nengine = "js"\n')
    home.environ |= {"LLMSPELL_MODEL": "spell/scripted", "LLMSPELL_ENGINE": "javascript", "LLMSPELL_DISPLAY": " "}
    settings = home.read(Entry("engine", "python", Origin("--set")))
    origins = {key: str(settings.origin(key)) for key in ("preset", "seed", "display", "model", "engine", "limits.effects")}
    assert (settings.preset, settings.seed, settings.display, settings.model, settings.engine) == (
        *("strict", 1, "static", "spell/scripted", "python"),
    )
    assert origins == {
        "preset": "~/.config/llmspell/config.toml, line 5",
        "limits.effects": "~/.config/llmspell/config.toml, line 5",
        "seed": "~/.config/llmspell/config.toml, line 1",
        "display": "llmspell.toml, line 1",
        "model": "LLMSPELL_MODEL",
        "engine": "--set",
    }


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("LLMSPELL_DISPLAY", "lively", "did you mean 'live'? (set by LLMSPELL_DISPLAY)"),
        ("LLMSPELL_SEED", "x", "must be a whole number, not the text 'x' (set by LLMSPELL_SEED)"),
        ("LLMSPELL_PRESET", "strickt", "did you mean 'strict'? (set by LLMSPELL_PRESET)"),
        ("LLMSPELL_ENGINE", "luau", "did you mean 'lua'? (set by LLMSPELL_ENGINE)"),
    ],
)
def test_a_wrong_variable_is_named(home: Home, variable: str, value: str, said: str) -> None:
    home.environ[variable] = value
    with pytest.raises(ConfigError) as caught:
        home.read()
    assert caught.value.message.endswith(said)


def test_the_users_file_is_where_xdg_says_unless_that_is_relative(home: Home, tmp_path: Path) -> None:
    home.environ["XDG_CONFIG_HOME"] = "relative"
    assert places(home.environ, home.work).user == home.path / ".config" / "llmspell" / "config.toml"
    home.environ["XDG_CONFIG_HOME"] = str(tmp_path / "xdg")
    assert places(home.environ, home.work).user == tmp_path / "xdg" / "llmspell" / "config.toml"


def test_no_place_names_a_folder_above_its_own(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "secret customer" / "xdg" / "llmspell" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("seed = 1")
    home.environ["XDG_CONFIG_HOME"] = str(file.parent.parent)
    assert str(home.read().origin("seed")) == "…/llmspell/config.toml, line 1"


def test_the_nearest_project_file_is_the_one(home: Home) -> None:
    (home.project / "llmspell.toml").write_text("seed = 1")
    assert home.read().seed == 1
    assert str(home.read().origin("seed")) == "~/spells/tea/llmspell.toml, line 1"
    (home.work / "llmspell.toml").write_text("seed = 2")
    assert home.read().seed == 2


def test_the_search_ends_below_the_home_directory(home: Home) -> None:
    (home.path / "llmspell.toml").write_text("seed = 1")
    (home.path.parent / "llmspell.toml").write_text("seed = 2")
    assert home.read() == Settings()
    assert home.read(folder=home.path).seed == 1, "the working directory itself is looked at in any case"


def test_the_search_ends_below_a_folder_that_everyone_may_write_to(home: Home, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "mine").mkdir(parents=True)
    (shared / "llmspell.toml").write_text("seed = 1")
    assert home.read(folder=shared / "mine").seed == 1
    shared.chmod(0o1777)
    assert home.read(folder=shared / "mine") == Settings()


def test_the_search_ends_at_the_border_of_a_file_system(home: Home) -> None:
    if os.stat("/proc/self").st_dev == os.stat("/").st_dev:
        pytest.skip("/proc is no file system of its own here")
    found = places(home.environ, Path("/proc/self"))
    assert found.project is None


def test_a_project_that_would_loosen_is_refused_with_its_line(home: Home) -> None:
    home.user('preset = "strict"\n')
    (home.project / "llmspell.toml").write_text("seed = 3\n\n[limits]\neffects = 1_000_000\n")
    with pytest.raises(ConfigError) as caught:
        home.read()
    assert (caught.value.file, caught.value.line, caught.value.key) == ("~/spells/tea/llmspell.toml", 4, "limits.effects")
    assert "1_000_000 is looser than your own 1_000 (~/.config/llmspell/config.toml, line 1)" in caught.value.message


@pytest.mark.parametrize("trust", ['["~/spells"]', '["~/spells/tea/"]', '["/nowhere", "{home}/spells"]'])
def test_a_trusted_projects_file_counts_as_the_users_own(home: Home, trust: str) -> None:
    home.user(f'preset = "strict"\ntrust = {trust.replace("{home}", str(home.path))}\n')
    (home.project / "llmspell.toml").write_text('preset = "minimal"\n')
    settings = home.read()
    assert limits_of(settings.preset, settings.limits) == PRESETS["minimal"]


def test_trust_in_a_folder_is_none_in_its_neighbour(home: Home) -> None:
    home.user('trust = ["~/spells/te", "~/spells/tea/notebooks"]\n')
    (home.project / "llmspell.toml").write_text('preset = "minimal"\n')
    with pytest.raises(ConfigError, match="looser"):
        home.read()


def test_a_link_into_a_trusted_folder_is_not_trusted_by_its_name(home: Home, tmp_path: Path) -> None:
    home.user('trust = ["~/spells"]\n')
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "llmspell.toml").write_text('preset = "minimal"\n')
    (home.path / "spells" / "link").symlink_to(strange)
    with pytest.raises(ConfigError, match="looser"):
        home.read(folder=home.path / "spells" / "link")


def test_a_project_cannot_make_itself_trusted(home: Home) -> None:
    (home.project / "llmspell.toml").write_text('trust = ["/"]\npreset = "minimal"\n')
    with pytest.raises(ConfigError, match=r"line 1, column 1, key 'trust': only the user's own file says whom it trusts"):
        home.read()


@pytest.mark.parametrize(
    ("trust", "said"), [('"~/x"', "must be a list of folders"), ("[1]", "must be a list"), ('["x"]', "must begin with /")]
)
def test_a_wrong_trust_is_named_with_its_line(home: Home, trust: str, said: str) -> None:
    home.user(f"seed = 1\ntrust = {trust}\n")
    with pytest.raises(ConfigError, match=rf"config\.toml, line 2, column 1, key 'trust': .*{said}"):
        home.read()


def test_a_file_that_cannot_be_read_is_one_error(home: Home) -> None:
    file = home.project / "llmspell.toml"
    file.mkdir()
    with pytest.raises(ConfigError, match=r"^~/spells/tea/llmspell.toml: is not a file"):
        home.read()
    file.rmdir()
    os.mkfifo(file)  # opening it would wait for ever
    with pytest.raises(ConfigError, match="is not a file"):
        home.read()
    file.unlink()
    file.write_text("seed = 1")
    file.chmod(0)
    if os.geteuid() == 0:
        return  # root may read everything
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        home.read()


def test_a_file_that_is_no_text_or_too_large_is_one_error(home: Home) -> None:
    file = home.work / "llmspell.toml"
    file.write_bytes(b"seed = 1\nmodel = 'caf\xe9'\n")
    with pytest.raises(ConfigError, match=r"^llmspell.toml, line 2: not UTF-8 text .byte 0xe9."):
        home.read()
    with file.open("wb") as large:
        large.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ConfigError, match="larger than 1024 KiB"):
        home.read()


def test_a_file_that_is_no_toml_is_one_error_with_its_line(home: Home) -> None:
    home.user("seed = 1\nmodel = spell/echo\n")
    with pytest.raises(ConfigError, match=r"^~/.config/llmspell/config.toml, line 2, column 9: not TOML"):
        home.read()


@pytest.mark.parametrize(
    ("written", "read"), [("init.lua", "{user}/init.lua"), ("~/begin.lua", "{home}/begin.lua"), ("/etc/x.lua", "/etc/x.lua"), ("", "")]
)
def test_an_init_script_of_a_settings_file_lies_beside_that_file(home: Home, written: str, read: str) -> None:
    home.user(f'[init]\nlua = "{written}"\n')
    expected = read.format(user=home.path / ".config" / "llmspell", home=home.path)
    assert home.read().init == {"lua": expected}
    assert home.read(Entry("init.lua", "here.lua", Origin("--set"))).init == {"lua": "here.lua"}, "no file says where that is"


def test_a_project_names_an_init_script_only_where_it_is_trusted(home: Home) -> None:
    (home.project / "llmspell.toml").write_text('[init]\njavascript = "start.js"\n')
    with pytest.raises(ConfigError, match=r"line 2, column 1, key 'init.javascript': a project's file may not set this"):
        home.read()
    home.user(f'trust = ["{home.project}"]\n')
    assert home.read().init == {"javascript": str(home.project / "start.js")}


def test_an_init_script_of_an_engine_there_is_not_is_refused_with_the_nearest(home: Home) -> None:
    home.user('[init]\nluaa = "init.lua"\n')
    with pytest.raises(ConfigError, match=r"line 2.*there is no engine 'luaa'; did you mean 'lua'"):
        home.read()
