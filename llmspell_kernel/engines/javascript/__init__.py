"""JavaScript (quickjs-ng).  `declaration` is all the host reads; the interpreter is imported in the worker."""

from typing import Any

declaration: dict[str, Any] = {
    "name": "javascript",
    "aliases": ["js"],
    "file_endings": [".js", ".mjs"],
    "mime": "text/javascript",
    "interpreter": "llmspell_kernel.engines.javascript.interpreter",
}
