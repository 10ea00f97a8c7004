"""All tests; folders mirror the package."""
