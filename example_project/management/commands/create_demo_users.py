"""The command ``create_demo_users``. It creates the demo's users, whose passwords are public."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Creates alice, with the password alice, and the superuser admin, with admin."

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model().objects
        for name, is_admin in (("alice", False), ("admin", True)):
            if users.filter(username=name).exists():
                continue
            create = users.create_superuser if is_admin else users.create_user
            create(name, password=name)
            self.stdout.write(f"Created {name}.")
