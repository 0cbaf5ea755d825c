"""A page is read as a browser without JavaScript reads it."""

import pytest

from reciprocal_oauth.conformance.drivers.html_forms import Form, NotThere, choose
from reciprocal_oauth.conformance.drivers.html_pages import Document, read

URL = "http://a.example/pages/one?x=1"


def form_of(html: str) -> Form:
    return read(html, URL).forms[0]


def sent(form: Form, button: str) -> list[tuple[str, str]]:
    """What the form sends when the button is pressed."""
    found = form.button(button)
    assert found is not None
    return list(form.submission(found).fields)


def test_a_form_sends_what_the_page_has_put_into_its_fields() -> None:
    form = form_of(
        """<form><input name="a" value="1 &amp; 2"><input type="hidden" name="h" value="x">
        <input type="checkbox" name="c" checked><input type="checkbox" name="d" value="2">
        <input type="radio" name="r" value="1"><input type="radio" name="r" value="2" checked>
        <textarea name="t">
first
 second</textarea>
        <select name="s"><option>one<option selected value="2">two</select>
        <select name="f"><option value="first">1</option><option>2</option></select>
        <select name="m" multiple><option>x</option></select>
        <input value="no name"><input type="file" name="file">
        <button name="b" value="go">Go</button>
        </form>"""
    )

    assert sent(form, "Go") == [
        ("a", "1 & 2"),
        ("h", "x"),
        ("c", "on"),
        ("r", "2"),
        ("t", "first\r\n second"),
        ("s", "2"),
        ("f", "first"),
        ("b", "go"),
    ]


def test_only_the_button_that_is_pressed_is_sent() -> None:
    form = form_of(
        "<form><button name=answer value=allow>Allow</button>"
        "<button name=answer value=deny>Do not allow</button>"
        "<input type=submit name=x value=Later></form>"
    )

    assert sent(form, "Do not allow") == [("answer", "deny")]
    assert sent(form, "allow") == [("answer", "allow")]
    assert sent(form, "x") == [("x", "Later")]


def test_the_text_of_a_button_counts_before_its_value() -> None:
    form = form_of("<form><button value=no>Yes</button><button value=Yes name=b>No</button></form>")

    assert sent(form, "Yes") == []


@pytest.mark.parametrize("wanted", ["Connect*", "*music", "connect  *: Music", "*"])
def test_a_part_of_the_text_of_a_button_is_enough(wanted: str) -> None:
    form = form_of("<form><button>Connect again<span>: Music</span></button></form>")

    assert form.button(wanted) is not None


@pytest.mark.parametrize("wanted", ["Connect", "Dis*", "Connect.*", "*again"])
def test_another_text_is_not(wanted: str) -> None:
    form = form_of("<form><button>Connect again<span>: Music</span></button></form>")

    assert form.button(wanted) is None


def test_a_name_that_several_buttons_have_is_refused() -> None:
    form = form_of(
        "<form><button name=answer value=allow>A</button>"
        "<button name=answer value=deny>B</button></form>"
    )

    with pytest.raises(NotThere, match='several buttons "answer"'):
        form.button("answer")


def test_disabled_controls_are_left_out() -> None:
    form = form_of(
        """<form><input name="a" disabled><fieldset disabled><input name="b"><button>No</button>
        </fieldset><fieldset><input name="c"></fieldset><select name="d"><option disabled>x
        <option>y</select><button>Go</button></form>"""
    )

    assert sent(form, "Go") == [("c", ""), ("d", "y")]
    assert form.button("No") is None


def test_buttons_that_send_nothing_are_left_out() -> None:
    form = form_of(
        "<form><button type=button>A</button><button type=reset>B</button>"
        "<input type=button value=C></form>"
    )

    assert form.buttons() == []


def test_actions_are_relative_to_the_page_or_to_its_base() -> None:
    assert form_of("<form action='two'></form>").action == "http://a.example/pages/two"
    assert form_of("<form></form>").action == URL
    assert form_of("<base href='/base/'><form action='two'>").action == "http://a.example/base/two"
    page = read("<base href='/base/'><a href=' x '>X</a>", URL)
    assert page.link("X").url == "http://a.example/base/x"


def test_a_form_that_is_sent_by_get_has_its_fields_as_the_query() -> None:
    form = form_of(
        "<form action='/search?old=1#top'><input name=q value='a b'><button>Go</button></form>"
    )
    button = form.button("Go")
    assert button is not None

    submission = form.submission(button)

    assert (submission.method, submission.url) == ("GET", "http://a.example/search?q=a+b")


def test_a_button_can_have_its_own_action_and_method() -> None:
    form = form_of("<form action='/a'><button formaction='/b' formmethod='post'>Go</button></form>")
    button = form.button("Go")
    assert button is not None

    submission = form.submission(button)

    assert (submission.method, submission.url) == ("POST", "http://a.example/b")


def test_a_form_with_files_is_refused_in_clear_words() -> None:
    form = form_of("<form method=post enctype='multipart/form-data'><button>Go</button></form>")

    with pytest.raises(
        NotThere, match=r"multipart/form-data \(files\), which the driver forms cannot"
    ):
        sent(form, "Go")


def test_a_form_in_a_form_is_ignored() -> None:
    page = read("<form action=/1><form action=/2><input name=a></form><input name=b></form>", URL)

    assert [form.action for form in page.forms] == ["http://a.example/1"]
    assert page.forms[0].field_names() == ["a"]


def test_a_control_can_belong_to_a_form_elsewhere() -> None:
    page = read(
        "<button form=late>Go</button><form id=early><input name=a form=late></form>"
        "<form id=late></form>",
        URL,
    )

    assert sent(page.forms[1], "Go") == [("a", "")]
    assert page.forms[0].controls == []


def test_missing_end_tags_are_tolerated() -> None:
    page = read("<p>One<form><input name=a><button name=b value=1>Go <b>on<p>Two</div></a>", URL)

    assert page.text == "One Go on Two"
    assert page.forms[0].field_names() == ["a"]
    assert page.names == {"a", "b"}


def test_of_an_attribute_that_comes_twice_the_first_counts() -> None:
    assert form_of("<form><input name=a name=b></form>").field_names() == ["a"]


def test_tags_in_a_text_field_are_its_text() -> None:
    form = form_of("<form><textarea name=t><b>bold</b> &lt;i></textarea><button>Go</button></form>")

    assert sent(form, "Go") == [("t", "<b>bold</b> <i>")]


def test_the_text_of_a_page_has_what_a_person_sees() -> None:
    page = read(
        """<title>A  title</title><script>var hidden = "<p>x</p>";</script><style>p {}</style>
        <template><form><input name=t></form></template>
        <h1>Head<em>ing</em></h1><p>First</p><p>sec<b>ond</b><br>third</p>""",
        URL,
    )

    assert page.text == "A title Heading First second third"
    assert page.heading == "Heading"
    assert page.forms == []
    assert page.says("SECOND  third")
    assert not page.says("hidden")


def test_a_link_is_found_by_its_text() -> None:
    page = read("<a href=/1>One</a><a href=/2>Disconnect <b>it</b></a><a name=x>No</a>", URL)

    assert page.link("disconnect it").url == "http://a.example/2"
    assert page.link("Dis*").url == "http://a.example/2"
    with pytest.raises(NotThere, match='no link "No". It has "One", "Disconnect it"'):
        page.link("No")


@pytest.mark.parametrize(
    ("content", "leads_to"),
    [
        ("0; url=/next", "http://a.example/next"),
        ("0;URL='/next'", "http://a.example/next"),
        ("3,/next", "http://a.example/next"),
        ("30; url=/next", ""),
        ("5", ""),
        ("x", ""),
    ],
)
def test_a_page_can_lead_on_by_itself(content: str, leads_to: str) -> None:
    page = read(f'<meta http-equiv="Refresh" content="{content}">', URL)

    assert page.refresh == leads_to


# --- Filling in ---------------------------------------------------------------------------------


def test_what_is_filled_in_is_sent() -> None:
    form = form_of(
        """<form><input name=a value=old>
        <select name=s><option value=1>One<option value=2>Two</select>
        <input type=radio name=r value=x checked><input type=radio name=r value=y>
        <button>Go</button>"""
    )
    for name, value in {"a": "new", "s": "Two", "r": "y"}.items():
        form.fill(name, value)

    assert sent(form, "Go") == [("a", "new"), ("s", "2"), ("r", "y")]


def test_a_value_that_is_not_offered_is_refused() -> None:
    form = form_of(
        "<form><select name=s><option>One</select><input type=radio name=r value=x>"
        "<input type=checkbox name=c value=1>"
    )

    with pytest.raises(NotThere, match='does not offer "Two", but "One"'):
        form.fill("s", "Two")
    with pytest.raises(NotThere, match='does not offer "y", but "x"'):
        form.fill("r", "y")
    with pytest.raises(NotThere, match='do not offer "2", but "1"'):
        form.tick("c", ["1", "2"])


def test_exactly_the_named_boxes_are_ticked() -> None:
    form = form_of(
        """<form><input type=checkbox name=s value=a checked><input type=checkbox name=s value=b>
        <input type=checkbox name=other checked><button>Go</button>"""
    )

    form.tick("s", ["b"])
    assert sent(form, "Go") == [("s", "b"), ("other", "on")]
    form.tick("s", [])
    assert sent(form, "Go") == [("other", "on")]
    form.tick("s", None)
    assert sent(form, "Go") == [("s", "a"), ("s", "b"), ("other", "on")]


# --- Choosing a form ----------------------------------------------------------------------------


def two_forms() -> Document:
    return read(
        """<form action=/search><input name=q><button>Go</button></form>
        <form action=/login><input name=user><input type=hidden name=h><button>Go</button></form>
        <form action=/logout><button>Leave</button></form>""",
        URL,
    )


def test_the_form_is_chosen_that_has_all_that_is_needed() -> None:
    forms = two_forms().forms

    assert choose(forms, button="Go") is forms[0]
    assert choose(forms, button="Go", fields=["user"]) is forms[1]
    assert choose(forms, button="Go", part="/login") is forms[1]


def test_the_form_that_was_filled_in_goes_before_the_others() -> None:
    forms = two_forms().forms

    forms[1].fill("user", "alice")

    assert choose(forms, button="Go") is forms[1]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"fields": ["nobody"]}, 'no field "nobody". It has "q", "user".'),
        ({"fields": ["h"]}, 'no field "h"'),
        ({"boxes": ["scopes"]}, 'no checkbox "scopes". It has none.'),
        ({"button": "Stay"}, 'no button "Stay". It has "Go", "Leave".'),
        ({"part": "/nowhere"}, 'no form with "/nowhere" in its action'),
        ({"fields": ["q"], "button": "Leave"}, 'No form has all of "q", "Leave".'),
    ],
)
def test_what_a_page_lacks_is_said(wanted: dict[str, str], said: str) -> None:
    with pytest.raises(NotThere) as caught:
        choose(two_forms().forms, **wanted)  # type: ignore[arg-type]

    assert said in str(caught.value)
