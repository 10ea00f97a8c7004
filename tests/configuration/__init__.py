"""Tests of the settings: what may be set, by whom, and where it is read."""
