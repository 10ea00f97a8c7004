"""The Jupyter kernels, for a Jupyter of another environment."""
