"""The Python backend: executes `model.py` files in this process."""
