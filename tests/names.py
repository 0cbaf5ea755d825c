"""Names that resolve to whatever a test says, at the one seam to the system's resolver."""

import socket
import threading
from typing import Any

_getaddrinfo = socket.getaddrinfo


class Names:
    """Stands in for DNS: ``resolve(name, answer, answer...)`` gives one answer per look-up, the
    last of which stays; each is one address, a list, or an error. ``hang(name)`` has look-ups of
    the name wait for ``let_go()``. ``asked`` is what was looked up."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._answers: dict[str, list[Any]] = {}
        self._hanging: set[str] = set()
        self._let_go = threading.Event()

    def resolve(self, name: str, *answers: str | list[str] | OSError) -> None:
        self._answers[name] = list(answers)

    def hang(self, *names: str) -> None:
        self._hanging.update(names)

    def let_go(self) -> None:
        """The look-ups that hang get their answers, and no other hangs."""
        self._let_go.set()
        for thread in threading.enumerate():
            if thread.name.startswith("resolve-"):
                thread.join(10)

    def getaddrinfo(self, host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        if host not in self._answers:
            return _getaddrinfo(host, port, *args, **kwargs)
        self.asked.append(host)
        if host in self._hanging:
            self._let_go.wait(30)
        answers = self._answers[host]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, OSError):
            raise answer
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in ([answer] if isinstance(answer, str) else answer)
        ]
