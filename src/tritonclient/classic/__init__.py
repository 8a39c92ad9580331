"""What the classic clients share, whatever their protocol."""
