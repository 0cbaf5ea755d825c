"""Mistakes that newcomers make, made on purpose at two paired sites: each has a message that says
what to do."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from example_project.driver import Browser, Page, Person
from example_project.servers import free_ports

from .conftest import Projects
from .people import authorize, sign_in
from .project import Project
from .provider import Quickstart, create_provider

pytestmark = pytest.mark.two_process


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Projects]:
    """The assistant and the music service, as the quickstart leaves them."""
    folder = tmp_path_factory.mktemp("mistakes")
    first, second = free_ports()
    assistant, music = Project(folder / "assistant", first), Project(folder / "music", second)
    quickstart = Quickstart(assistant, music)
    try:
        for project in (assistant, music):
            create_provider(project)
            quickstart.install_in(project)
            project.serve()
        quickstart.pair()
        yield assistant, music
    finally:
        assistant.stop()
        music.stop()


@pytest.fixture
def assistant(paired: Projects) -> Project:
    return paired[0]


@pytest.fixture
def music(paired: Projects) -> Project:
    return paired[1]


@contextmanager
def peer_with(project: Project, slug: str, mistake: str, mended: str) -> Iterator[None]:
    """While the block runs, the peer has the flags ``mistake``; afterwards the flags ``mended``."""
    command = f"python manage.py reciprocal_peer add {slug} --accept-changes"
    project.run(f"{command} {mistake}")
    try:
        yield
    finally:
        project.run(f"{command} {mended}")


def findings(project: Project, *, fails: bool) -> dict[str, dict[str, str]]:
    """What ``reciprocal_peer test`` finds about the music service, by check."""
    printed = project.run("python manage.py reciprocal_peer test music --json", fails=fails)
    return {each["check"]: each for each in json.loads(printed[printed.index("[") :])}


def test_without_a_mistake_nothing_fails(assistant: Project) -> None:
    found = findings(assistant, fails=False)

    assert {each["state"] for each in found.values()} <= {"passed", "unknown", "advice"}
    assert "127.0.0.1" in found["cookies"]["reason"]


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ("playbak", ["playbak", "Did you mean “playback”?"]),
        ("openid playback", ["does not offer OpenID Connect"]),
    ],
)
def test_a_scope_that_the_peer_does_not_have(
    assistant: Project, scope: str, words: list[str]
) -> None:
    good = '--scope "playback now-playing"'
    with peer_with(assistant, "music", f'--scope "{scope}" --reciprocal-scope ""', good):
        found = findings(assistant, fails=True)["scopes"]

    assert found["state"] == "failed"
    assert [word for word in words if word not in found["reason"]] == []


def test_a_redirect_uri_that_the_peer_does_not_know(assistant: Project, music: Project) -> None:
    right = f"{assistant.url}/connections/music/callback/"
    mistake, mended = f"--redirect-uri {assistant.url}/callback/", f"--redirect-uri {right}"
    with peer_with(music, "assistant", mistake, mended):
        found = findings(assistant, fails=True)["redirect_uri"]

    assert found["state"] == "failed"
    assert right in found["reason"]


def test_a_wrong_client_secret(assistant: Project) -> None:
    mistake = "--auth-method client_secret_basic --client-secret not-the-secret"
    with peer_with(assistant, "music", mistake, "--auth-method private_key_jwt"):
        found = findings(assistant, fails=True)["credentials"]

    assert found["state"] == "failed"
    assert "credentials" in found["reason"]


def test_an_issuer_that_is_not_that_of_the_peer(assistant: Project, music: Project) -> None:
    mistake, mended = f"--issuer {music.url}/oauth", f"--issuer {music.url}/o"
    with peer_with(assistant, "music", mistake, mended):
        found = findings(assistant, fails=True)["metadata"]

    assert found["state"] == "failed"
    assert f"{music.url}/oauth" in found["reason"]


def test_nobody_delivers(assistant: Project) -> None:
    """The settings say that a command does it, and nobody has started the command."""
    # A fresh project has no mail server, which is an error for "check --deploy" of Django 6.1.
    lines = 'RECIPROCAL_OAUTH = {"DISPATCHER": "none"}\nSILENCED_SYSTEM_CHECKS = ["mail.E001"]'
    module = settings_with(assistant, "idle", lines)
    assistant.stop()
    forget = "from reciprocal_oauth.models import Heartbeat; Heartbeat.objects.all().delete()"
    assistant.run(f'python manage.py shell -c "{forget}"')
    try:
        tested = assistant.run(f"python manage.py reciprocal_peer test music {module}", fails=True)
        status = assistant.run(f"python manage.py reciprocal_status {module}", fails=True)
        checked = assistant.run(f"python manage.py check --deploy --database default {module}")
    finally:
        assistant.serve()

    assert [text for text in (tested, status) if "reciprocal_deliver" not in text] == []
    assert "reciprocal_oauth.W029" in checked


def test_a_person_who_cancels_is_no_problem_of_the_site(assistant: Project) -> None:
    browser = Person("alice").browser
    page = start(browser, assistant)

    page = browser.submit(page.form(action="/o/authorize/"))

    listed = browser.open(f"{assistant.url}/admin/reciprocal_oauth/authorizationrequest/")
    assert page.url.startswith(f"{assistant.url}/connections/?attempt=")
    assert "access was not allowed at the other site" in listed.text
    status = assistant.run("python manage.py reciprocal_status")
    assert "attempts to connect with music failed" not in status


@pytest.mark.parametrize(
    ("mistake", "mended", "remedy", "problem"),
    [
        (
            '--scope "playbak"',
            '--scope "playback now-playing"',
            "Compare the scope “playbak”",
            "scope",
        ),
        (
            "--auth-method client_secret_basic --client-secret not-the-secret",
            "--auth-method private_key_jwt",
            "and the client secret or key with the registration",
            "credentials",
        ),
        (
            "--issuer {music}/oauth",
            "--issuer {music}/o",
            "Compare the issuer “{music}/oauth”",
            "wrong_issuer",
        ),
    ],
    ids=["scope", "secret", "issuer"],
)
def test_a_failed_connection_stands_in_the_admin_with_what_to_do(
    assistant: Project, music: Project, mistake: str, mended: str, remedy: str, problem: str
) -> None:
    mistake, mended, remedy = (each.format(music=music.url) for each in (mistake, mended, remedy))
    browser = Person("alice").browser
    with peer_with(assistant, "music", mistake, mended):
        page = start(browser, assistant)
        if page.path == "/o/authorize/":
            page = authorize(browser, page)
        listed = browser.open(f"{assistant.url}/admin/reciprocal_oauth/authorizationrequest/")
        status = assistant.run("python manage.py reciprocal_status", fails=True)

    assert page.url.startswith(f"{assistant.url}/connections/?attempt=")
    assert remedy in listed.text
    assert "reciprocal_peer test music" in listed.text
    assert remedy in assistant.tail()
    assert re.search(f"attempts to connect with music failed since .*: {problem}\\.", status)


def start(browser: Browser, assistant: Project) -> Page:
    """Sign in at both sites, and return what the music service shows."""
    page = sign_in(browser, browser.open(f"{assistant.url}/connections/"))
    page = browser.submit(page.form(action="/connections/music/connect/"))
    return sign_in(browser, page)


def test_a_misspelt_peer_in_the_code_of_the_site(assistant: Project) -> None:
    code = (
        "import reciprocal_oauth; from django.contrib.auth import get_user_model; "
        "reciprocal_oauth.get_session_for(get_user_model().objects.get(), 'musik')"
    )
    printed = assistant.run(f'python manage.py shell -c "{code}"', fails=True)

    assert "UnknownPeer" in printed.splitlines()[-1]
    assert "music" in printed.splitlines()[-1]


@pytest.mark.parametrize(
    ("issuer", "words"),
    [
        ('"{url}/o/"', ["reciprocal_oauth.W027", "Remove the slash"]),
        ('"{url}/oauth"', ["reciprocal_oauth.W027", "is included at /o", '"{url}/o"']),
        ("None", ["reciprocal_oauth.W026", "the URL at which reciprocal_oauth.oauth2_urls is"]),
    ],
    ids=["slash", "other path", "missing"],
)
def test_an_issuer_that_does_not_fit(assistant: Project, issuer: str, words: list[str]) -> None:
    line = f'OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"] = {issuer.format(url=assistant.url)}'
    module = settings_with(assistant, "misnamed", line)

    command = "python manage.py check --deploy --fail-level WARNING"
    printed = assistant.run(f"{command} {module}", fails=True)

    assert [each for each in words if each.format(url=assistant.url) not in printed] == []


def test_scopes_of_a_peer_without_words(assistant: Project) -> None:
    module = settings_with(assistant, "wordless", 'RECIPROCAL_OAUTH = {"PEER_SCOPES": {}}')
    forget = "from reciprocal_oauth.models import Peer; Peer.objects.update(scope_words={})"
    assistant.run(f'python manage.py shell -c "{forget}"')

    printed = assistant.run(f"python manage.py check --database default {module}")

    assert "reciprocal_oauth.W028" in printed
    assert "no words: " in printed
    assert "playback" in printed


def test_openid_for_a_peer_without_openid_connect(assistant: Project) -> None:
    command = 'python manage.py reciprocal_peer add music --allowed-scope "profile speak openid"'

    printed = assistant.run(command, fails=True)

    assert "Nothing was saved" in printed
    assert "Not a scope of this site: openid" in printed


def test_words_for_the_scopes_of_a_peer_that_does_not_exist(assistant: Project) -> None:
    line = 'RECIPROCAL_OAUTH = {"PEER_SCOPES": {"musik": {"playback": "Control the music"}}}'
    module = settings_with(assistant, "misspelt", line)

    printed = assistant.run(f"python manage.py check --database default {module}")

    assert "musik" in printed
    assert 'Did you mean "music"?' in printed


def settings_with(project: Project, name: str, lines: str) -> str:
    """Write settings with more lines, and return the flag that uses them."""
    package = project.settings.parent
    (package / f"{name}.py").write_text(f"from .settings import *\n\n{lines}\n")
    return f"--settings {package.name}.{name}"
