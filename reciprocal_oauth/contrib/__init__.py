"""What needs another package, or a later Django: imported only by sites that choose it."""
