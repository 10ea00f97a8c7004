"""The command tree: what lies in the folder is a command, wrong names get help, and help costs little."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import llmspell_kernel
from llmspell_kernel.cli._folder import root

CLI = Path(llmspell_kernel.__file__).parent / "cli"


def command_paths() -> list[list[str]]:
    files = [path for path in CLI.rglob("*.py") if not path.name.startswith("_")]
    return sorted(list(path.relative_to(CLI).with_suffix("").parts) for path in files)


def test_there_are_commands_to_test() -> None:
    assert ["run"] in command_paths()
    assert ["models", "install"] in command_paths()


@pytest.mark.parametrize("path", command_paths(), ids=" ".join)
def test_every_file_in_the_folder_is_a_command_with_a_description(path: list[str]) -> None:
    result = CliRunner().invoke(root(), [*path, "--help"])
    assert result.exit_code == 0
    described = result.output.split("\n\n", 2)[1]
    assert described.strip() and "Options" not in described


@pytest.mark.parametrize("path", command_paths(), ids=" ".join)
def test_the_readme_names_every_command(path: list[str]) -> None:
    readme = (CLI.parents[1] / "README.md").read_text(encoding="utf-8")
    assert f"llmspell {' '.join(path)}" in readme


def test_an_unknown_command_suggests_the_nearest() -> None:
    result = CliRunner().invoke(root(), ["modles"])
    assert result.exit_code == 2
    assert "there is no command 'modles'; did you mean 'models'?" in result.output


def test_an_unknown_command_of_a_group_suggests_the_nearest() -> None:
    result = CliRunner().invoke(root(), ["models", "instal"])
    assert result.exit_code == 2
    assert "did you mean 'install'" in result.output


def test_a_command_far_from_any_other_gets_the_list() -> None:
    commands = root()
    known = ", ".join(commands.list_commands(click.Context(commands)))
    assert f"known: {known}" in CliRunner().invoke(commands, ["zzz"]).output


def test_version_is_the_package_version() -> None:
    assert CliRunner().invoke(root(), ["--version"]).output == f"llmspell, version {llmspell_kernel.__version__}\n"


def test_help_imports_nothing_that_takes_long() -> None:
    program = (
        "import sys\n"
        "from llmspell_kernel.cli._folder import root\n"
        "root().main(['--help'], standalone_mode=False)\n"
        "heavy = {'asyncio', 'jupyter_client', 'zmq', 'rich', 'msgspec', 'litellm', 'IPython', 'lupa', 'quickjs'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "heavy: []"


def test_the_command_line_also_runs_as_a_module() -> None:
    result = subprocess.run([sys.executable, "-m", "llmspell_kernel.cli", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("llmspell, version ")


def test_the_list_of_commands_cuts_no_sentence_at_80_columns() -> None:
    result = CliRunner().invoke(root(), ["--help"], terminal_width=80)
    assert result.exit_code == 0 and "..." not in result.output.partition("Commands:")[2]
