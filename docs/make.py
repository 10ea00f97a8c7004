"""Writes what the pages say of the code from the code itself: docs/bridges.md whole, and the parts between `made` comments of other pages.

python docs/make.py
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import llmspell_kernel
from llmspell_kernel import errors
from llmspell_kernel.amounts import size
from llmspell_kernel.bridges._catalogue import reference_markdown
from llmspell_kernel.bridges._declaration import declare
from llmspell_kernel.bridges._registry import built_in
from llmspell_kernel.configuration.rules import CHECKS, amount, rows
from llmspell_kernel.configuration.sources import VARIABLES
from llmspell_kernel.engines import javascript, lua
from llmspell_kernel.engines._declaration import FEATURES
from llmspell_kernel.host_types._table import conversions
from llmspell_kernel.kernel.cell_options import OPTIONS
from llmspell_kernel.kernel.commands import GROUPS
from llmspell_kernel.policy import limits
from llmspell_kernel.policy.layers import MODES
from llmspell_kernel.policy.presets import PRESETS
from llmspell_kernel.policy.tables import TABLES
from llmspell_kernel.protocol import transitions
from llmspell_kernel.settings import DISPLAY_MODES, JOURNAL_MODES, Settings

DOCS = Path(__file__).parent
PART = re.compile(r"(<!-- made: ([a-z-]+) -->\n).*?(<!-- end of what is made -->\n)", re.DOTALL)
ENGINES = (lua.declaration, javascript.declaration)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def bridges_page() -> str:
    return reference_markdown(declare(bridge) for bridge in built_in().values())


def conversion_table() -> str:
    rows = ([row.name, row.to_scripts, row.from_scripts or "cannot be made", row.note] for row in conversions())
    return table(["Python", "what a script gets (Lua / JavaScript)", "what a script gives for it", ""], rows)


def engine_table() -> str:
    facts: list[tuple[str, Callable[[Any], str]]] = [
        ("language", lambda engine: f"{engine.title} {engine.language_version}"),
        ("comes from the package", lambda engine: code(engine.library)),
        ("cells begin with", lambda engine: ", ".join(code(f"%%{name}") for name in engine.names)),
        ("endings of files", lambda engine: ", ".join(map(code, engine.file_endings))),
        ("MIME types", lambda engine: ", ".join(map(code, engine.mime_types))),
        ("kernel whose plain cells it runs", lambda engine: code(engine.kernelspec)),
        ("its word for nothing", lambda engine: code(engine.null)),
        ("names of methods", lambda engine: code("set_model" if engine.case == "snake" else "setModel")),
        *((f"`{name}`: {meaning}", _has(name)) for name, meaning in FEATURES.items()),
    ]
    return table(["", *(engine.title for engine in ENGINES)], ([name, *map(told, ENGINES)] for name, told in facts))


def _has(feature: str) -> Callable[[Any], str]:
    return lambda engine: "yes" if feature in engine.features else "no"


def setting_table() -> str:
    docs, values = field_docs(Settings), {row.key: row.value for row in rows(Settings())}
    kinds = {**get_type_hints(Settings), **{f"grants.{name}": tuple[str, ...] for name in ("allow", "deny", "ask")}}
    kinds |= {f"{name}.{field}": kind for name, found in TABLES.items() for field, kind in found.types.items()}
    kinds |= {"preset": tuple(limits.PRESETS), "display": DISPLAY_MODES, "journal": JOURNAL_MODES, "confinement": MODES}
    variables = {key: name for name, key in VARIABLES.items()}
    docs |= {f"{name}.{field}": text for name, found in TABLES.items() for field, text in field_docs(found.kind).items()}
    lines = []
    for key in CHECKS:
        if key.startswith("limits."):
            continue
        lines.append(
            [code(key), _kind(kinds[key]), code(amount(key, values[key])), code(variables.get(key, "")), docs[key.removeprefix("grants.")]]
        )
    return table(["key", "value", "default", "variable", ""], lines)


KINDS = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    tuple[int, ...]: "list of numbers",
    tuple[str, ...]: "list of patterns",
}


def _kind(annotation: Any) -> str:
    """What a value may be, by its annotation or by the words that it is one of."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    words = annotation if isinstance(annotation, tuple) else get_args(annotation) if get_origin(annotation) is Literal else ()
    return " ".join(map(code, words)) if words else KINDS[annotation]


def limit_table() -> str:
    docs = field_docs(limits.Limits)
    rows = (
        [code(f"limits.{name}"), *(_amount(name, preset) for preset in limits.PRESETS.values()), docs[name]]
        for name in limits.Limits._fields
    )
    return table(["key", *map(code, limits.PRESETS), ""], rows)


LAYERS = {
    "privileges": "no capability of root, and none to be had (`no_new_privs`)",
    "landlock": "no file, no folder, no network, no signal to others (Landlock)",
    "seccomp": "no system call that makes or reaches a file, socket, process or thread (seccomp, all others go on)",
    "seccomp_strict": "no system call but the few that a worker needs (seccomp, none else goes on)",
}
"""By their names in policy.layers, what each takes from a worker."""
EVERYWHERE = (
    "a process of its own, a fresh environment, no files but its channels, none written, no core, dies with its host",
    "the engine's own limits: time, memory, stack; then a kill",
    "a language from an allow list, fresh tables, no bytecode, no `debug`, no finalizers, no Python object inside",
    "the host decides on every call, and counts it, before it happens; a deny wins",
    "output is capped, escaped, and of types that the host chose",
)
"""What no preset can leave out."""


def layer_table() -> str:
    confinements = [preset.confinement for preset in PRESETS.values()]
    named = list(dict.fromkeys(name for confinement in confinements for name in confinement.layers))
    rows = [[text, *["yes"] * len(PRESETS)] for text in EVERYWHERE]
    rows += [[LAYERS[name], *(_holds(name in each.layers, each.required) for each in confinements)] for name in named]
    rows.append(
        ["the kernel's own memory and environment closed to other processes", *(_holds(each.shields_host, True) for each in confinements)]
    )
    rows.append(["left out of the language", *(_left_out(preset.left_out) for preset in PRESETS.values())])
    rows.append(["never granted", *(_patterns(preset.grants.deny) for preset in PRESETS.values())])
    rows.append(["the user is asked", *(_patterns(preset.grants.ask, preset.grants.ask_levels) for preset in PRESETS.values())])
    return table(["", *map(code, PRESETS)], rows)


def _holds(has: bool, required: bool) -> str:
    return ("required" if required else "where the machine has it") if has else "-"


def _left_out(kinds: Iterable[str]) -> str:
    return "; ".join(f"{engine.title}: {', '.join(map(code, names))}" for engine in ENGINES if (names := engine.names_of(kinds))) or "-"


def _patterns(names: Iterable[str], levels: Iterable[str] = ()) -> str:
    return ", ".join([*map(code, names), *(f"methods of level {code(level)}" for level in levels)]) or "-"


def _amount(name: str, preset: limits.Limits) -> str:
    value = getattr(preset, name)
    if name.endswith("_bytes"):
        return size(value)
    return f"{value:g} s" if name.endswith("_s") and not name.endswith("_per_s") else f"{value:,}"


def field_docs(kind: type) -> dict[str, str]:
    """The text under each field of a class; a field without one is an error, as its row would be empty."""
    (body,) = (node.body for node in ast.parse(inspect.getsource(kind)).body if isinstance(node, ast.ClassDef))
    found = {}
    for field, text in zip(body, [*body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            found[field.target.id] = " ".join(inspect.cleandoc(str(ast.literal_eval(text.value))).split())
    return found


def name_table() -> str:
    rows = [[code(name + _call(known)), _first_line(known)] for name, known in _public() if not _is_error(known)]
    return table(["name", ""], rows)


def error_table() -> str:
    kinds = [known for _, known in _public() if _is_error(known)]
    rows = [[code(kind.__name__), code(kind.code), code(kind.__mro__[1].__name__), _first_line(kind)] for kind in kinds]
    return table(["error", "`code`", "is a", ""], rows)


def _public() -> list[tuple[str, Any]]:
    return [(name, getattr(llmspell_kernel, name)) for name in llmspell_kernel.__all__ if name != "__version__"]


def _is_error(known: Any) -> bool:
    return isinstance(known, type) and issubclass(known, errors.SpellError)


def _call(known: Any) -> str:
    return "(...)" if inspect.isfunction(known) else ""


def _first_line(known: Any) -> str:
    return (inspect.getdoc(known) or "").split("\n\n")[0].replace("\n", " ")


def run_signature() -> str:
    shown = inspect.signature(llmspell_kernel.run_async)
    lines = [f"    {_parameter(known)},\n" for known in shown.parameters.values()]
    at = next(index for index, known in enumerate(shown.parameters.values()) if known.kind is known.KEYWORD_ONLY)
    lines.insert(at, "    *,\n")
    return f"```\nawait run_async(\n{''.join(lines)}) -> {shown.return_annotation}\n```\n\n{inspect.getdoc(llmspell_kernel.run_async)}\n"


def _parameter(known: inspect.Parameter) -> str:
    default = "" if known.default is known.empty else f" = {known.default!r}"
    return f"{known.name}: {known.annotation}{default}"


def phase_drawing() -> str:
    drawing = [line[4:] for line in (transitions.__doc__ or "").splitlines() if line.startswith("    ")]
    return "```\n" + "\n".join(drawing) + "\n```\n"


def phase_table() -> str:
    sides = {True: "host", False: "worker"}
    rows = ([now.value, event.value, sides[event in transitions.BY_HOST], then.value] for (now, event), then in transitions.TABLE.items())
    return table(["a state that is", "and the message", "from the", "is then"], rows)


def cell_option_table() -> str:
    return table(["option", ""], ([code(f"{option.name} {option.value}"), option.what] for option in OPTIONS))


def command_tables() -> str:
    """A heading and a table for each group."""
    return "\n".join(f"### {title}\n\n{_command_table(commands)}" for title, commands in GROUPS.items())


def _command_table(commands: Iterable[Any]) -> str:
    return table(["command", ""], ([code(f"%llmspell {usage}"), what] for command in commands for usage, what in command.usages))


PARTS: dict[str, Callable[[], str]] = {
    "conversions": conversion_table,
    "engines": engine_table,
    "settings": setting_table,
    "limits": limit_table,
    "layers": layer_table,
    "names": name_table,
    "errors": error_table,
    "run-signature": run_signature,
    "phases": phase_drawing,
    "transitions": phase_table,
    "cell-options": cell_option_table,
    "commands": command_tables,
}


def made(path: Path) -> str:
    """What a page should be: the same, but for what is made."""
    if path.name == "bridges.md":
        return bridges_page()
    return PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n{part[3]}", path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    for page in sorted(DOCS.glob("*.md")):
        page.write_text(made(page), encoding="utf-8")
