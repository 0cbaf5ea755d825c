"""The tutorial: every command and every file of it, from two empty projects to a link."""

import pytest

from .conftest import Projects
from .pages_of_docs import blocks_of
from .people import connect
from .reader import Reader

pytestmark = pytest.mark.two_process


def test_the_tutorial_leads_from_two_empty_projects_to_a_link(projects: Projects) -> None:
    reader, blocks = Reader(projects), blocks_of("tutorial")
    assert len([block for block in blocks if block.kind == "console"]) == 9

    first_use = next(i for i, block in enumerate(blocks) if block.caption.endswith("playing.py"))
    for block in blocks[:first_use]:
        reader.follow(block)
    page = connect(projects[0], "music")
    for block in blocks[first_use:]:
        reader.follow(block)

    assert page.account == "alice"
    printed = list(reader.printed.values())
    assert "{'track': 'Blue in Green'}" in printed[-2]
    assert "{'username': 'alice'}" in printed[-1]
    checks = [text for command, text in reader.printed.items() if command.endswith(" check")]
    assert all("no issues" in text for text in checks)
    (tested,) = [text for command, text in reader.printed.items() if "test music" in command]
    assert "failed" not in tested.lower().replace("no test failed", "")
