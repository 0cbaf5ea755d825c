"""Fixtures of the dialects' tests."""

from ..provider.conftest import token_of_a

__all__ = ["token_of_a"]
