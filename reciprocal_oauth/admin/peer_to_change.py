"""What the views behind the buttons of a peer's admin page have in common."""

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from ..models import Peer


def peer_to_change(model_admin: admin.ModelAdmin, request: HttpRequest, object_id: str) -> Peer:
    """Return the peer of the page.

    :raises PermissionDenied: the user may not change the peer.
    :raises Http404: the peer does not exist.
    """
    peer: Peer | None = model_admin.get_object(request, unquote(object_id))
    if not model_admin.has_change_permission(request, peer):
        raise PermissionDenied
    if peer is None:
        raise Http404
    return peer
