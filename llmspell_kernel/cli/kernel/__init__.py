"""The Jupyter kernels, for when Jupyter runs in another environment than this package."""
