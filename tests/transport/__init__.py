"""Tests of the transports, over sockets against scripted and hostile peers."""
