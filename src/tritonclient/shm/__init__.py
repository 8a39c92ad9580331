"""Tensors in shared memory: `system` for POSIX shared memory, `cuda` for memory of GPUs."""
