"""A folder of Python files as a click group: the commands are what lies in it."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

import click

from .. import __version__
from ..errors import SpellError, nearest


class Folder(click.Group):
    """Each module of `package` without a leading underscore is a command; each package in it is a group, described by its docstring."""

    def __init__(self, name: str, package: ModuleType) -> None:
        super().__init__(name=name, help=package.__doc__, no_args_is_help=True)
        self.package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(module.name for module in iter_modules(self.package.__path__) if not module.name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = import_module(f"{self.package.__name__}.{cmd_name}")
        if hasattr(module, "__path__"):
            return Folder(cmd_name, module)
        command: click.Command = module.command
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            ctx.fail(f"there is no command '{name}'{nearest(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SpellError as error:
            raise click.ClickException(error.message) from error


def root() -> click.Group:
    """The whole command tree."""
    group = Folder("llmspell", import_module(__package__))
    group.help = "Spells: small, sandboxed Lua and JavaScript scripts that talk to language models."
    group.context_settings = {"help_option_names": ["-h", "--help"]}
    return click.version_option(__version__, prog_name="llmspell")(group)
