"""What was stored before is for the peers as they stand: nothing else is known of it."""

from typing import Any

from django.db import migrations

from ..models.binding import binding_of

MODELS = ("Link", "OutboxItem", "InboxItem", "AuthorizationRequest")


def bind(apps: Any, schema_editor: Any) -> None:
    alias = schema_editor.connection.alias
    for peer in apps.get_model("reciprocal_oauth", "Peer").objects.using(alias).all():
        bound_to = binding_of(peer)
        type(peer).objects.using(alias).filter(pk=peer.pk).update(bound_to=bound_to)
        for name in MODELS:
            rows = apps.get_model("reciprocal_oauth", name).objects.using(alias)
            rows.filter(peer=peer.pk).update(bound_to=bound_to)


class Migration(migrations.Migration):
    dependencies = [("reciprocal_oauth", "0004_peers_as_they_are")]

    operations = [migrations.RunPython(bind, migrations.RunPython.noop, elidable=True)]
