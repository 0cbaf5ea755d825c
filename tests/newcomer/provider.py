"""Two sites that are OAuth providers with django-oauth-toolkit, before they get this app."""

from .pages_of_docs import Block, blocks_of
from .project import Project

SETTINGS = """
INSTALLED_APPS += ["oauth2_provider"]
OAUTH2_PROVIDER = {"SCOPES": SCOPES}
LOGIN_URL = "/admin/login/"
"""
URLS = """
from django.http import JsonResponse
from django.urls import include
from oauth2_provider.decorators import protected_resource


@protected_resource()
def whoami(request):
    return JsonResponse({"username": request.resource_owner.get_username()})


urlpatterns += [
    path("o/", include("oauth2_provider.urls")),
    path("api/whoami/", whoami),
]
"""
SCOPES = {
    "assistant": {"profile": "Read your name", "speak": "Say something aloud"},
    "music": {"playback": "Control what is playing", "now-playing": "See what is playing"},
}
ALICE = (
    "DJANGO_SUPERUSER_PASSWORD=alice python manage.py createsuperuser --noinput "
    "--username alice --email alice@people.example"
)


def create_provider(project: Project) -> None:
    """Make a site that other software could use as its OAuth provider."""
    project.create()
    project.append(f"SCOPES = {SCOPES[project.folder.name]!r}\n{SETTINGS}")
    with project.urls.open("a") as file:
        file.write(URLS)
    project.run("python manage.py migrate")
    project.run(ALICE)


class Quickstart:
    """The code blocks of the quickstart, as somebody with the two sites applies them."""

    def __init__(self, assistant: Project, music: Project) -> None:
        self._projects = (assistant, music)
        blocks = blocks_of("quickstart")
        self._python = [block for block in blocks if block.kind == "python"]
        self._console = [block for block in blocks if block.kind == "console"]

    def install_in(self, project: Project, *more: str) -> None:
        """Steps 1 to 3, and the cookies for two sites on one machine.

        :param more: a word of each block that a site can leave out, and this one has.
        """
        project.append(
            self._block("INSTALLED_APPS").replace("# ...", "*INSTALLED_APPS,")
            # A person does not write an app into the list that is there.
            + "INSTALLED_APPS = list(dict.fromkeys(INSTALLED_APPS))\n"
        )
        urls = self._block("urlpatterns")
        replaced = '*[each for each in urlpatterns if str(each.pattern) != "o/"],'
        with project.urls.open("a") as file:
            file.write("\n" + urls.replace("# ...", replaced))
        issuer = self._block("OIDC_ISS_ENDPOINT").replace("# ...", "**OAUTH2_PROVIDER,")
        project.append(issuer.replace("https://assistant.example", project.url))
        for word in more:
            project.append(self._block(word).replace("https://assistant.example", project.url))
        project.append(self._block("transaction_mode"))
        project.append(self._block("SESSION_COOKIE_NAME").replace("assistant", project.folder.name))
        for command in self._commands("migrate"):
            printed = project.run(command)
        assert "no issues" in printed

    def pair(self) -> str:
        """Step 4. Return what the accepting administrator sees."""
        assistant, music = self._projects
        (invite,), (accept,) = self._commands("invite"), self._commands("accept")
        printed = assistant.run(self.here(invite))
        (invitation,) = [line for line in printed.splitlines() if "/pair/#v=1" in line]
        return music.accept(self.here(accept), invitation)

    def here(self, text: str) -> str:
        """The text with the addresses of the two projects."""
        for project in self._projects:
            text = text.replace(f"https://{project.folder.name}.example", project.url)
        return text

    def use(self) -> str:
        """The code that calls the peer."""
        code = self._block("get_session_for").replace("api/playing", "api/whoami/")
        return self.here(code)

    def _block(self, word: str) -> str:
        (found,) = [block.text for block in self._python if word in block.text]
        return found

    def _commands(self, word: str) -> list[str]:
        found: list[Block] = [block for block in self._console if word in block.text]
        (block,) = found
        return block.commands
