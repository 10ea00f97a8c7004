"""The Jupyter side: the IPython extension, the thin kernel, cells, display, completion, magics.

Everything is an IPython extension (`%load_ext llmspell_kernel`); the kernel loads it and chooses the language of plain cells.
To add a magic: a file in magics/ with a function `register(shell, notebook)`.
"""
