"""Somebody who follows the tutorial to the letter."""

from .pages_of_docs import Block
from .project import Project

#: Where the tutorial has its sites; the test has others.
PORTS = ("8101", "8102")
#: These need the package index. `.ci/run` installs the package as it is built.
INSTALLING = ("python -m venv", "source ", "pip install")


class Reader:
    """Follows the blocks of a page, one after the other.

    :ivar printed: what each command printed.
    """

    def __init__(self, projects: tuple[Project, Project]) -> None:
        self.projects = {project.folder.name: project for project in projects}
        self.printed: dict[str, str] = {}

    def follow(self, block: Block) -> None:
        if block.kind == "python":
            self.write(block)
        for command in block.commands if block.kind == "console" else []:
            if not command.startswith(INSTALLING):
                self.printed[command] = self.run(block, self.at_our_ports(command))

    def write(self, block: Block) -> None:
        """Append the code to the settings, as the tutorial says, or write it into its file."""
        project = self.project(block.caption)
        code = self.at_our_ports(block.text)
        if block.caption.endswith("settings.py"):
            project.append(code)
        else:
            (project.folder.parent / block.caption).write_text(code)

    def run(self, block: Block, command: str) -> str:
        if command.startswith("django-admin startproject"):
            self.projects[command.split()[-1]].create()
            return ""
        project = self.project(block.caption)
        if "runserver" in command:
            project.serve(command)
            return ""
        if "reciprocal_pair accept" in command:
            (invitation,) = [
                line
                for printed in self.printed.values()
                for line in printed.splitlines()
                if "/pair/#v=1" in line
            ]
            return project.accept(command, invitation)
        return project.run(command)

    def project(self, caption: str) -> Project:
        return self.projects[caption.partition("/")[0].partition(",")[0]]

    def at_our_ports(self, text: str) -> str:
        for port, project in zip(PORTS, self.projects.values(), strict=True):
            text = text.replace(port, str(project.port))
        return text
