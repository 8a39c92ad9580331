"""The classic names, held against the official client: what programs written for it rely on."""
