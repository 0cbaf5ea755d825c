"""Setting up a peer: registration, discovery, the connection check, a change of its address."""
