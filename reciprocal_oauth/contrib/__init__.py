"""Modules that need another package or a later Django; only sites that choose them import them."""
