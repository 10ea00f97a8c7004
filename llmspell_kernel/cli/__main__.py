"""`python -m llmspell_kernel.cli`: the same as the `llmspell` script, for an environment that is not on PATH."""

from . import main

main()
