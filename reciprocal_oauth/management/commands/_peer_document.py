"""What the command ``reciprocal_peer`` prints about a peer with ``--json``."""

from typing import Any

from reciprocal_oauth.peers.sheet import Sheet, console_lines
from reciprocal_oauth.vendors import preset_of

from ._output import fields_of
from ._peer_flags import PEER_FLAGS
from ._peer_sheet import own_address

#: The fields of a peer that the output with ``--json`` contains. The client secret is never shown.
SHOWN_FIELDS = (
    "slug",
    "enabled",
    *(field for field in PEER_FLAGS if field != "client_secret"),
    "paused_at",
    "paused_reason",
    "reverse_refused_at",
)


def peer_document(peer: Any, sheet: Sheet | None = None, base: str = "") -> dict[str, Any]:
    """Return what the output with ``--json`` says about a peer.

    :param peer: a peer with the attribute ``active_links``.
    :param sheet: the sheet for the other site; ``None`` to leave it out.
    :param base: the URL of this site; ``""`` if it is not known.
    """
    document = {
        **{field: getattr(peer, field) for field in SHOWN_FIELDS},
        "client_secret_stored": bool(peer.client_secret),
        "application_client_id": peer.application.client_id,
        "redirect_uris": peer.application.redirect_uris.split(),
        "active_links": peer.active_links,
        "pairing": _pairing_document(peer),
    }
    if sheet is None:
        return document
    document["this_site"] = own_address(sheet, base)
    document["give_to_peer"] = sheet.values()
    if preset := preset_of(peer.dialect):
        document["console"] = [
            fields_of(line, "label value note is_secret") for line in console_lines(peer, sheet)
        ]
        document["limits"] = [str(limit) for limit in preset.limits]
    return document


def _pairing_document(peer: Any) -> dict[str, Any] | None:
    pairing = getattr(peer, "pairing", None)
    return pairing and fields_of(pairing, "id slug state completed_at")
