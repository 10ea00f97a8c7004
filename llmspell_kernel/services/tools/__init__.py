"""Tools: what a model, a script or a person can call by name, with arguments that a JSON Schema describes."""
