"""The dialects. A dialect is the form of the HTTP requests and responses that a kind of peer uses.

For example, a dialect defines how a hand-over (a request that contains a reciprocal code) looks.
Each dialect is a class in its own file. ``Peer.dialect`` stores the name of the dialect of a peer,
and :mod:`reciprocal_oauth.core.plugins` finds the class with this name.
"""

from collections.abc import Mapping

from ..core.plugins import dialect_class
from ..core.plugins import dialects as dialect_names
from ..models import Peer
from .base import Dialect

__all__ = ["Dialect", "dialect_of", "dialects"]


def dialect_of(peer: Peer, data: Mapping[str, str] | None = None) -> Dialect:
    """Return the dialect that ``peer`` uses.

    :param data: the values that the peer sent with the code or for the link: see
        :attr:`Dialect.data`.
    :raises ImproperlyConfigured: there is no dialect with the name in ``peer.dialect``.
    """
    dialect: Dialect = dialect_class(peer.dialect)()
    if data:
        # Set an attribute. A dialect of a site can have an ``__init__`` without arguments.
        dialect.data = data
    return dialect


def dialects() -> list[Dialect]:
    """Return all dialects: first the built-in dialects, then the dialects in the setting
    ``DIALECTS``.

    :raises ImproperlyConfigured: the setting contains a class that is not a dialect.
    """
    return [dialect_class(name)() for name in dialect_names()]
