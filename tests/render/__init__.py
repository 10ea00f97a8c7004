"""Tests of rendering; a package so that its tests may share `page`."""
