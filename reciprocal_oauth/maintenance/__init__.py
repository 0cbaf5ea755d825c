"""Maintenance that runs once a day or when an administrator starts it: pruning (which deletes old
rows) and key rotation (which encrypts stored secrets with a new key)."""
