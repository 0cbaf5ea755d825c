"""Which tests reach which line, as ``coverage`` has written it down."""

from pathlib import Path

from coverage import CoverageData

#: Most tests that are run against one mutant.
MOST_TESTS = 400


class Selection:
    """Reads a file of ``coverage`` that was written with ``dynamic_context = test_function``.

    :param file: the data file.
    :param root: the root of the project that was measured.
    """

    def __init__(self, file: Path, root: Path) -> None:
        self._data = CoverageData(str(file))
        self._data.read()
        self._root = root

    def tests_of(self, module: str, lines: range) -> list[str]:
        """The tests that reach ``lines`` of ``module``, as arguments for pytest.

        Tests of the same folder come first. A line that runs when its module is imported counts as
        reached by all tests of the folder. Without any tests there, all are returned.

        :param module: its path in the project, such as ``reciprocal_oauth/party_a/send.py``.
        """
        contexts = self._data.contexts_by_lineno(str(self._root / module))
        found = {each for line in lines for each in contexts.get(line, ())}
        room = f"tests.{Path(module).parent.name}."
        nearest = sorted(found - {""}, key=lambda each: (not each.startswith(room), each))
        named = [name for each in nearest[:MOST_TESTS] if (name := self._name_of(each))]
        folder = room.replace(".", "/")
        if "" in found or not named:
            named.append(folder if (self._root / folder).exists() else "tests")
        return named

    def _name_of(self, context: str) -> str:
        """``tests.a.test_send.TestX.test_y`` as ``tests/a/test_send.py::TestX::test_y``."""
        parts = context.split(".")
        for count in range(len(parts), 0, -1):
            file = Path(*parts[:count]).with_suffix(".py")
            if (self._root / file).exists():
                return "::".join([str(file), *parts[count:]])
        return ""
