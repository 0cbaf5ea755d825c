"""How families of peers speak the hand-over on the wire: one class per dialect, one file each.

The core knows none by name; ``Peer.dialect`` names it, see :mod:`reciprocal_oauth.core.plugins`.
"""

from ..core.plugins import dialect_class
from ..core.plugins import dialects as dialect_names
from ..models import Peer
from .base import Dialect

__all__ = ["Dialect", "dialect_of", "dialects"]


def dialect_of(peer: Peer) -> Dialect:
    """The dialect that ``peer`` speaks.

    :raises ImproperlyConfigured: its name is none.
    """
    return dialect_class(peer.dialect)()


def dialects() -> list[Dialect]:
    """Every dialect that has a name, the built-in ones first."""
    return [dialect_class(name)() for name in dialect_names()]
