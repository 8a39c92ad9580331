"""Tests of memory on GPUs: on a driver that we compile, and on a real one where there is one."""
