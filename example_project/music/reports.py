"""Reports to SmartThings and Alexa what the player of a user does."""

import logging
import uuid
from typing import Any

from django.utils import timezone

from reciprocal_oauth import get_links
from reciprocal_oauth.exceptions import ReciprocalError
from reciprocal_oauth.models import Peer
from reciprocal_oauth.vendors.alexa import send_event
from reciprocal_oauth.vendors.smartthings import send_callback

from .smart_home import PLAYER, state_of

logger = logging.getLogger(__name__)


def report_to_vendors(user: Any) -> None:
    """Report the state of the player to each vendor with which ``user`` has a link. If a vendor
    does not take the report, the next report says what is missing."""
    senders = {"smartthings": _to_smartthings, "alexa": _to_alexa}
    for vendor in Peer.objects.filter(slug__in=senders):  # Those that were set up.
        for link in get_links(user, vendor):
            try:
                senders[vendor.slug](link)
            except ReciprocalError as error:
                logger.warning("The state of the player was not reported: %s", error)


def _to_smartthings(link: Any) -> None:
    send_callback(link, {"deviceState": [state_of(link.user)]})


def _to_alexa(link: Any) -> None:
    """Send a ``ChangeReport``."""
    state = {
        "namespace": "Alexa.PowerController",
        "name": "powerState",
        "value": "ON" if link.user.plays.exists() else "OFF",
        "timeOfSample": timezone.now().isoformat(timespec="milliseconds"),
        "uncertaintyInMilliseconds": 0,
    }
    header = {
        "namespace": "Alexa",
        "name": "ChangeReport",
        "payloadVersion": "3",
        "messageId": str(uuid.uuid4()),
    }
    change = {"cause": {"type": "APP_INTERACTION"}, "properties": [state]}
    event = {"header": header, "endpoint": {"endpointId": PLAYER}, "payload": {"change": change}}
    send_event(link, {"event": event, "context": {}})
