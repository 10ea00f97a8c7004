"""A language of its own, as far as anybody can see: Lua whose source text is in rot13.  Its compile step turns letters and keeps places."""

from llmspell_kernel.engines import EngineDeclaration

declaration = EngineDeclaration(
    name="rot13",
    title="ROT13",
    interpreter="llmspell_rot13.interpreter",
    language_version="5.4",
    aliases=["ebg13"],
    file_endings=[".rot13"],
    mime_types=["text/x-rot13"],
    features=frozenset({"soft_interrupt", "compile_step"}),
    needed={"lupa": "lupa"},
    library="llmspell-rot13",
    removable={"code_from_text": ["load"]},
    null="avy",
    keywords=["shapgvba", "raq", "ybpny", "erghea"],
    kernelspec="llmspell-rot13",
)
