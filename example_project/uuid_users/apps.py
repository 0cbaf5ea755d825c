from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class UUIDUsersConfig(AppConfig):
    name = "example_project.uuid_users"
    verbose_name = _("Users")
