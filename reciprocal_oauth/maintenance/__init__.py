"""Work that runs once a day or by hand: pruning and key rotation."""
