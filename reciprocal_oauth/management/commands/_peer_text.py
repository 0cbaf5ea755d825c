"""The text that the command ``reciprocal_peer`` prints about a peer, without ``--json``."""

from collections.abc import Mapping
from typing import Any

from reciprocal_oauth.exceptions import DecryptionError
from reciprocal_oauth.models import Peer
from reciprocal_oauth.peers.sheet import Sheet, console_lines
from reciprocal_oauth.presentation import pairing_status
from reciprocal_oauth.secret import Secret
from reciprocal_oauth.vendors import preset_of

from . import _peer_preset
from ._output import for_people, shortened, table
from ._peer_flags import PEER_FLAGS

_LABELS: Mapping[str, str] = {
    "client_id": "its client ID here",
    "redirect_uri": "our redirect URI",
    "client_type": "our client type",
    "grant_types": "our grant types",
    "response_types": "our response types",
    "issuer": "our issuer",
    "metadata": "our metadata",
    "authorization_endpoint": "our authorization endpoint",
    "token_endpoint": "our token endpoint",
    "revocation_endpoint": "our revocation endpoint",
    "reciprocal_endpoint": "our reciprocal endpoint",
    "scope_here": "scopes it may have here",
    "scope_there": "scopes we request there",
    "handover": "our address for this peer",
    "jwks_uri": "our public keys",
    "keys": "thumbprints of our keys",
}


def row_of(peer: Any) -> tuple[str, ...]:
    """Return the row of a peer in the list of peers. The attribute ``active_links`` of ``peer`` is
    the number of its active links."""
    count = peer.active_links
    return (
        peer.slug,
        shortened(peer.name),
        _state(peer),
        shortened(peer.dialect),
        shortened(peer.issuer or peer.token_endpoint or "–", 60),
        f"{count} link" if count == 1 else f"{count} links",
    )


def _state(peer: Peer) -> str:
    state = "enabled" if peer.enabled else "disabled"
    if peer.reverse_refused_at is not None or not peer.sends_codes:
        state += ", one way only"
    return f"{state}, paused ({peer.paused_reason})" if peer.paused_at else state


def peer_text(peer: Any) -> str:
    """Return a table with one line for each value of the peer. The first column contains the name
    of the flag that sets the value, without the two hyphens at its beginning."""
    values = {flag: getattr(peer, field) for field, flag in PEER_FLAGS.items()}
    values["--client-secret"] = _secret_text(peer.client_secret)
    values["--application-client-id"] = peer.application.client_id
    values["--redirect-uri"] = " ".join(peer.application.redirect_uris.split())
    rows = [(flag.lstrip("-"), _value_text(value)) for flag, value in values.items()]
    if pairing := getattr(peer, "pairing", None):
        state = str(pairing.get_state_display())
        rows.insert(0, ("pairing", f"{state}; see: reciprocal_pair show {pairing.slug}"))
    return table(
        [("peer", f"{peer.slug}, {_state(peer)}, active links: {peer.active_links}"), *rows]
    )


def _value_text(value: str | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value.splitlines()) or "–"


def _secret_text(secret: Secret) -> str:
    """Return a text that says whether a secret is stored, and whether it can be decrypted. The
    text is empty if no secret is stored."""
    try:
        return "(stored)" if secret.reveal() else ""
    except DecryptionError:
        return "(cannot be read)"


def sheet_text(peer: Peer, sheet: Sheet, made_up_secret: str = "", *, has_paths: bool) -> str:
    """Return what to enter at the other site. For the peer of a vendor, this is what to enter in
    the console of the vendor.

    :param made_up_secret: the client secret of the application, if it was generated now.
    :param has_paths: whether the sheet contains paths instead of URLs.
    """
    preset = preset_of(peer.dialect)
    if preset is None:
        text = _values_text(peer, sheet, made_up_secret)
    else:
        lines = console_lines(peer, sheet, Secret(made_up_secret))
        text = _peer_preset.console_text(preset, lines)
    if has_paths:
        text += (
            "\n\nTo get URLs instead of paths, give the URL of this site with --base-url or in the "
            "setting BASE_URL."
        )
    if made_up_secret:
        text += "\n\nThe client secret was generated now. It is not shown again."
    return text


def _values_text(peer: Peer, sheet: Sheet, made_up_secret: str) -> str:
    rows = [
        (_LABELS[name], value or ("(none)" if "scope" in name else "(not available on this site)"))
        for name, value in sheet.values().items()
    ]
    if made_up_secret:
        rows.insert(1, ("its client secret here", made_up_secret))
    return f"{_heading(peer)}:\n{table(rows, indent='  ')}"


def _heading(peer: Peer) -> str:
    pairing = getattr(peer, "pairing", None)
    if not pairing_status.exchanged_all(pairing):
        return "Give this to the other site"
    at = f" on {for_people(pairing.completed_at)}" if pairing and pairing.completed_at else ""
    return f"Paired{at}. Nothing has to be given to the other site. It knows"
