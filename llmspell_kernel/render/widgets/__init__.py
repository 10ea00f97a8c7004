"""The live view as the browser runs it: one plain ES module and its style sheet, read as text by kernel/display.py."""
