"""Speed, measured beside the peers: `make bench`, `make bench-full`."""
