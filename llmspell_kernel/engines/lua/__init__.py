"""Lua 5.4.  `declaration` is all the host reads; the interpreter is imported in the worker."""

declaration = {
    "name": "lua",
    "aliases": [],
    "file_endings": [".lua"],
    "mime": "text/x-lua",
    "null": "nil",
    "interpreter": "llmspell_kernel.engines.lua.interpreter",
}
