"""Code that the classic clients of both protocols share."""
