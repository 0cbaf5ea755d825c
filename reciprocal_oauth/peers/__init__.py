"""Setting up a peer: registration, discovery, connection check, and what a change of it means."""
