"""Two empty projects, the assistant and the music service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from example_project.servers import free_ports

from .project import Project

Projects = tuple[Project, Project]


@pytest.fixture
def projects(tmp_path: Path) -> Iterator[Projects]:
    """Neither of the two exists yet."""
    first, second = free_ports()
    assistant = Project(tmp_path / "assistant", first)
    music = Project(tmp_path / "music", second)
    yield assistant, music
    assistant.stop()
    music.stop()
