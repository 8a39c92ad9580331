"""The benchmark: this client beside the official one, on a real Triton; run by `make bench`."""
