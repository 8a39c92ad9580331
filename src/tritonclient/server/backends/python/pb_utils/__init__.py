"""The classes and functions of `triton_python_backend_utils`, which models import."""
