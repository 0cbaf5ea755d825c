"""What people see: connecting, consent, the list of connections, one connection."""
