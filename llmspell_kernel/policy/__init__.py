"""What a state may do: limits, presets, decide().  Pure, and the only place with defaults."""
