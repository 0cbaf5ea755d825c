"""What the tester does as party A, to test a party B."""

from .handing_over import PartyB

__all__ = ["PartyB"]
