"""`llmspell policy ...`: what holds for scripts here, and whether a settings file is right."""
