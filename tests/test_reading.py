"""What reads pages and markers sees what it should: tests that use it would else prove nothing."""

from .reading import MarkedTest, Row, read_tests, rows_of

PAGE = """\
Title
=====

A section
---------

.. list-table::
   :header-rows: 1

   * - head
     - head

   * - one
       more
     -
   * - two - three
     - | ``a``
       | ``b``

Another
-------

.. list-table::

   * - head
     - head
   * - four
     - five
"""

SOURCE = """\
pytestmark = [pytest.mark.django_db, pytest.mark.draft("Module")]

@pytest.mark.threat("B6", "F15")
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.rfc("6749", "5.2"))])
def test_one(x):
    def test_inside(): pass

@pytest.mark.draft("Class")
class TestAll:
    pytestmark = pytest.mark.threat("X1")
    @pytest.fixture
    def no_test(self): pass
    def test_two(self): pass
"""


def test_the_reader_of_tables_sees_what_it_should() -> None:
    assert list(rows_of(PAGE)) == [
        Row("A section", ("one more", "")),
        Row("A section", ("two - three", "| ``a`` | ``b``")),
        Row("Another", ("four", "five")),
    ]


def test_the_reader_of_markers_sees_what_it_should() -> None:
    one, two = read_tests("tests/test_x.py", SOURCE)

    assert one.name == "tests/test_x.py::test_one"
    assert one.marked("draft") == [("Module",)]
    assert one.marked("threat") == [("B6", "F15")]
    assert one.marked("rfc") == [("6749", "5.2")]
    assert two == MarkedTest(
        "tests/test_x.py::TestAll::test_two",
        (("draft", ("Module",)), ("draft", ("Class",)), ("threat", ("X1",))),
    )
