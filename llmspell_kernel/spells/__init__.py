"""What is run outside a cell: a script's file and parameters.  Imports session and below; used by cli and kernel.

To add a way to describe a spell: one file that reads it into data.
"""
