"""Prompts with places to fill: templates, and those that were given a name."""
