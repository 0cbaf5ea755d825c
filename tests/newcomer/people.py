"""What Alice does in her browser at two projects that use the login page of the admin."""

from example_project.driver import Browser, Page, Person

from .project import Project


def sign_in(browser: Browser, page: Page) -> Page:
    """Fill in the login page of the admin, if this is it."""
    if page.path != "/admin/login/":
        return page
    values = {"username": "alice", "password": "alice"}
    page = browser.submit(page.form(action="/admin/login/"), values)
    assert page.path != "/admin/login/", page.text
    return page


def authorize(browser: Browser, page: Page) -> Page:
    """Press the button of django-oauth-toolkit's own authorization page."""
    form = page.form(action="/o/authorize/")
    return browser.submit(form, more=[("allow", "Authorize")])


def connect(project: Project, slug: str) -> Page:
    """Connect the peer ``slug`` at ``project``, and allow everything at both sites. Return the page
    of the link when both directions work."""
    alice = Person("alice")
    page = sign_in(alice.browser, alice.browser.open(f"{project.url}/connections/"))
    page = alice.browser.submit(page.form(action=f"/connections/{slug}/connect/"))
    page = authorize(alice.browser, sign_in(alice.browser, page))
    return alice.wait_until_two_way(alice.answer(page).url)
