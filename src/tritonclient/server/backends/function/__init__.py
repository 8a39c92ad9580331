"""The function backend: models that are Python functions of this process."""
