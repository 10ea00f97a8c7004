"""Makes the top-level `let`, `const` and `class` of a cell re-declarable, moving as little of the source as possible.

`let x` becomes `var x` (with `=void 0` where nothing is assigned, so a re-run starts anew), `const x` becomes `var   x`, `class A {}` becomes
`var A=class A {};`.  What is inserted is remembered, so that lines and columns of errors are those of the reader's source.  Given up, and
documented: `const` protection and use before definition at the top level.
"""

from __future__ import annotations

from importlib.machinery import ExtensionFileLoader, PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any, NamedTuple

import tree_sitter


class Insertion(NamedTuple):
    """Text put in at a byte column (from 0) of a line (from 1) of the source."""

    line: int
    column: int
    length: int


class Rewritten(NamedTuple):
    code: bytes
    insertions: list[Insertion]


def _load_grammar() -> Any:
    # the package's __init__ imports importlib.resources, which costs more than the rest of the engine
    package = PathFinder.find_spec("tree_sitter_javascript")
    for folder in (package and package.submodule_search_locations) or ():
        spec = PathFinder.find_spec("_binding", [folder])
        if spec is not None and isinstance(spec.loader, ExtensionFileLoader):
            named = spec_from_file_location("tree_sitter_javascript._binding", spec.origin)
            if named is not None and named.loader is not None:
                module = module_from_spec(named)
                named.loader.exec_module(module)
                return module.language()
    raise ImportError("the package tree-sitter-javascript is not installed")


_parser = tree_sitter.Parser(tree_sitter.Language(_load_grammar()))


def parse(code: bytes) -> Any:
    """The root node of the syntax tree; erroneous code gives a tree with error nodes."""
    return _parser.parse(code).root_node


def rewrite(code: bytes) -> Rewritten:
    """The code to run for a cell's source."""
    if code.startswith(b"#!"):
        code = b"//" + code[2:]
    if b"let" not in code and b"const" not in code and b"class" not in code:
        return Rewritten(code, [])
    text = bytearray(code)
    added: list[tuple[int, Insertion, bytes]] = []

    def insert(offset: int, point: Any, what: bytes) -> None:
        added.append((offset, Insertion(point.row + 1, point.column, len(what)), what))

    for node in parse(code).named_children:
        if node.type == "lexical_declaration":
            _rewrite_declaration(node, text, insert)
        elif node.type == "class_declaration":
            name = node.child_by_field_name("name")
            insert(node.start_byte, node.start_point, b"var " + name.text + b"=")
            insert(node.end_byte, node.end_point, b";")
    for offset, _, what in reversed(added):
        text[offset:offset] = what
    return Rewritten(bytes(text), [insertion for _, insertion, _ in added])


def _rewrite_declaration(node: Any, text: bytearray, insert: Any) -> None:
    keyword = node.children[0]
    bare = [item for item in node.named_children if item.type == "variable_declarator" and item.child_by_field_name("value") is None]
    if keyword.type == "const" and bare:
        return  # a syntax error, and it must stay one
    text[keyword.start_byte : keyword.end_byte] = b"var".ljust(keyword.end_byte - keyword.start_byte)
    for declarator in bare:
        insert(declarator.end_byte, declarator.end_point, b"=void 0")


def is_module(code: bytes) -> bool:
    """Has the code an `import` or `export` statement at its top level?"""
    return any(node.type in ("import_statement", "export_statement") for node in parse(code).named_children)
