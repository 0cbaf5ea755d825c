"""What the tester does as party B, to test a party A."""

from .linking import PartyA

__all__ = ["PartyA"]
