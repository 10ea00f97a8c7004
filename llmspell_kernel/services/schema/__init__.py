"""JSON Schema for values of scripts and models: checked, filled with defaults, inferred."""
