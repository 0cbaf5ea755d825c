"""The pages of the small party A."""

from collections.abc import Iterable, Mapping
from html import escape

from small_http import Refused, Response

PROTECTION = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


class BadForm(Refused):
    """The form is not from a page of the session that sends it."""

    def __init__(self) -> None:
        super().__init__("bad_form", 403)


def page(body: str, status: int = 200) -> Response:
    text = f'<!doctype html><html lang="en"><title>A</title><body>{body}</body></html>'
    return Response(status, text.encode(), dict(PROTECTION))


def form(action: str, csrf: str, fields: str, button: str = "") -> str:
    """Return a form. Its button has the label ``button``, unless ``fields`` has buttons."""
    hidden = f'<input type="hidden" name="csrf" value="{escape(csrf)}">' if csrf else ""
    sends = f'<button type="submit">{escape(button)}</button>' if button else ""
    return f'<form method="post" action="{escape(action)}">{hidden}{fields}{sends}</form>'


def boxes(scopes: Iterable[str], ticked: Iterable[str]) -> str:
    """Return a box to tick for each scope."""
    return "".join(
        f'<label><input type="checkbox" name="scope" value="{escape(scope)}"'
        f"{' checked' if scope in ticked else ''}>{escape(scope)}</label>"
        for scope in scopes
    )


def message_page(text: str, status: int = 200) -> Response:
    return page(f'<p>{escape(text)}</p><a href="/">Home</a>', status)


def login_page(target: str) -> Response:
    fields = (
        f'<input type="hidden" name="next" value="{escape(target)}">'
        '<input name="user"><input type="password" name="password">'
    )
    return page(form("/login", "", fields, "Sign in"))


def home_page(user: str, csrf: str, *, is_linked: bool) -> Response:
    parts = [f"<p>Signed in: {escape(user)}.</p>", form("/link", csrf, "", "Link")]
    if is_linked:
        parts += ['<a href="/access">Access</a>', form("/disconnect", csrf, "", "Disconnect")]
    return page("".join(parts))


def consent_page(csrf: str, scopes: list[str]) -> Response:
    buttons = "".join(
        f'<button type="submit" name="decision" value="{value}">{label}</button>'
        for value, label in (("allow", "Allow"), ("deny", "Deny"))
    )
    question = "<h1>May the other site do this for you?</h1>"
    return page(question + form("/consent", csrf, boxes(scopes, scopes) + buttons))


def access_page(csrf: str, scopes: list[str], has: Iterable[str]) -> Response:
    return page("<h1>Access</h1>" + form("/access", csrf, boxes(scopes, has), "Save"))


def authorize_page(csrf: str, client_id: str, asked: Mapping[str, str]) -> Response:
    question = f"<h1>Let {escape(client_id)} in?</h1><p>{escape(asked.get('scope', ''))}</p>"
    return page(question + form("", csrf, "", "Allow"))
