"""The quickstart: two sites with django-oauth-toolkit get this app, and end linked."""

import pytest

from .conftest import Projects
from .people import connect
from .provider import Quickstart, create_provider

pytestmark = pytest.mark.two_process

USE = """
from django.contrib.auth import get_user_model


class request:
    user = get_user_model().objects.get(username="alice")


{code}
print(response.json())
"""


def test_two_sites_that_follow_the_quickstart_are_linked_both_ways(projects: Projects) -> None:
    assistant, music = projects
    quickstart = Quickstart(assistant, music)
    for project in projects:
        create_provider(project)
        quickstart.install_in(project, "SITE_METADATA")
        project.serve()

    quickstart.pair()
    page = connect(assistant, "music")

    assert page.account == "alice", "SITE_METADATA of the music service says where to ask"
    assert "A voice assistant." in page.text, "the description of the quickstart, at both sites"

    (assistant.folder / "use.py").write_text(USE.format(code=quickstart.use()))
    assert "{'username': 'alice'}" in assistant.run("python manage.py shell < use.py")
