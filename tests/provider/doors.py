"""The doors of django-oauth-toolkit's own through which a peer loses its tokens here."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from oauth2_provider.models import get_access_token_model, get_refresh_token_model


class Tokens:
    """What the peer holds for alice's link, and browsers that can take it away."""

    def __init__(self, browser: Client, answer: dict[str, Any]) -> None:
        self.browser = browser
        self.raw, self.raw_refresh = answer["access_token"], answer["refresh_token"]

    @property
    def access(self) -> Any:
        return get_access_token_model().objects.get()

    @property
    def refresh(self) -> Any:
        return get_refresh_token_model().objects.get(revoked=None)


Door = Callable[[Tokens], None]


def page_of_authorized_tokens(tokens: Tokens) -> None:
    page = reverse("oauth2_provider:authorized-token-delete", args=[tokens.access.pk])
    assert tokens.browser.post(page).status_code == 302


def run_admin_action(token: Any) -> None:
    admin = Client()
    admin.force_login(get_user_model().objects.create_superuser("admin", password="admin"))
    meta = type(token)._meta
    page = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
    chosen = {"action": "revoke_tokens", "_selected_action": [token.pk]}
    assert admin.post(page, chosen).status_code == 302


def admin_of_access_tokens(tokens: Tokens) -> None:
    run_admin_action(tokens.access)


def admin_of_refresh_tokens(tokens: Tokens) -> None:
    run_admin_action(tokens.refresh)


def revoke_access_token(tokens: Tokens) -> None:
    tokens.access.revoke()


def revoke_refresh_token(tokens: Tokens) -> None:
    tokens.refresh.revoke()


def revoke_family(tokens: Tokens) -> None:
    get_refresh_token_model().revoke_family(tokens.refresh.token_family)


def delete_access_tokens(tokens: Tokens) -> None:
    get_access_token_model().objects.all().delete()


def delete_refresh_tokens(tokens: Tokens) -> None:
    get_refresh_token_model().objects.all().delete()


DOORS = [
    page_of_authorized_tokens,
    admin_of_access_tokens,
    admin_of_refresh_tokens,
    revoke_access_token,
    revoke_refresh_token,
    revoke_family,
    delete_access_tokens,
    delete_refresh_tokens,
]
