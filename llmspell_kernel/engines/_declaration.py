"""What the host knows of an engine without importing its interpreter.  Every fact about a language that a host module needs is a field here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from ..errors import ConfigError, nearest

FEATURES = {
    "await": "effects are promises, and a script awaits them",
    "instruction_limit": "a cell can be given a number of instructions that it may run",
    "soft_interrupt": "a running script is stopped without losing its state",
    "compile_step": "what runs is made from the script's text, with its lines and columns kept",
}
REMOVABLE = {"code_from_text": "what makes code of a text at run time"}
"""Kinds of things in a language that a policy may leave out."""
RESERVED = ("python",)
"""What is no engine, but may be the language of plain cells all the same."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class EngineDeclaration(NamedTuple):
    """`interpreter` is the module, imported only in a worker, that offers `create_engine(stop, emit)`."""

    name: str
    """How code names it: lower-case letters, digits and `_`."""
    title: str
    """How people write it: `JavaScript`."""
    interpreter: str
    language_version: str = ""
    aliases: Sequence[str] = ()
    """Further names, as after `%%`."""
    file_endings: Sequence[str] = ()
    """With their dots; the first one is the usual one."""
    mime_types: Sequence[str] = ()
    """The first one is the usual one."""
    features: frozenset[str] = frozenset()
    """Which of FEATURES the language has; whether a self-test passed is the worker's to say (`Ready.engines`)."""
    needed: Mapping[str, str] = {}
    """The top-level modules that the interpreter imports, each with the distribution that brings it: what `pip install` takes."""
    library: str = ""
    """The distribution whose version is the engine's own."""
    problem: str = ""
    """`module:function`, called on the host before a state is opened: () -> why the language cannot work here, with its mend, or None."""
    removable: Mapping[str, Sequence[str]] = {}
    """By kind (REMOVABLE), the names that the interpreter takes away where its options say so."""
    null: str = "null"
    """The language's word for nothing, as results show it."""
    case: Literal["snake", "camel"] = "snake"
    """How scripts write the names of methods: `set_model` or `setModel`."""
    keywords: Sequence[str] = ()
    """For completion."""
    pygments_lexer: str = "text"
    codemirror_mode: str = ""
    kernelspec: str = ""
    """The kernel whose plain cells are in this language; none if empty."""

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)

    def names_of(self, kinds: Iterable[str]) -> list[str]:
        """What this language calls the things that a policy leaves out."""
        return [name for kind in kinds for name in self.removable.get(kind, ())]

    def check(self) -> None:
        """Raises ConfigError for a declaration that nothing can be done with."""
        for name in self.names:
            if not _NAME.fullmatch(name) or name in RESERVED:
                raise ConfigError(f"'{name}' cannot be an engine's name: lower-case letters, digits and '_', and not {', '.join(RESERVED)}")
        for ending in self.file_endings:
            if not ending.startswith(".") or ending != ending.lower():
                raise ConfigError(f"the engine '{self.name}' has the file ending '{ending}': it begins with a dot, in lower case")
        for feature in self.features:
            if feature not in FEATURES:
                raise ConfigError(f"the engine '{self.name}' has the feature '{feature}'{nearest(feature, list(FEATURES))}")
        for kind in self.removable:
            if kind not in REMOVABLE:
                raise ConfigError(f"the engine '{self.name}' can do without '{kind}', which is no kind{nearest(kind, list(REMOVABLE))}")
        if self.case not in ("snake", "camel"):
            raise ConfigError(f"the engine '{self.name}' has the case '{self.case}'; known: snake, camel")
