"""Settings from where users write them: files, variables, options.  rules.py is what may be set and by whom, sources.py reads.

Imports policy, settings, errors and the names of engines.  Used by cli, kernel and spells, which pass the result on.  To add a setting: a field of
settings.Settings and a line in rules.CHECKS.
"""
