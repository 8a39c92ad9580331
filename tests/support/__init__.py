"""What the tests share: servers, peers, strategies and waiting."""
