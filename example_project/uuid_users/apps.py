from django.apps import AppConfig


class UUIDUsersConfig(AppConfig):
    name = "example_project.uuid_users"
    verbose_name = "Users"
