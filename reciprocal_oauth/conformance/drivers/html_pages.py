"""Reads an HTML page as a browser without JavaScript does: its text, forms and links.

Broken HTML is read as browsers read it, where that is simple: a form inside of a form is ignored,
end tags may be missing, and a control can belong to a form elsewhere by its attribute ``form``.
"""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin

from .html_forms import Control, Form, NotThere, Option, fits

#: Elements that do not separate words.
_INLINE: Final = frozenset(
    ("a", "abbr", "b", "bdi", "bdo", "cite", "code", "em", "font", "i", "kbd", "label", "mark", "q")
    + ("s", "small", "span", "strong", "sub", "sup", "time", "u", "wbr")
)
#: Elements whose text nobody sees.
_UNSEEN: Final = frozenset(("script", "style", "template"))
#: A page that leads on by itself after more seconds than this is taken for one that stays.
_LONGEST_REFRESH: Final = 5
_REFRESH: Final = re.compile(
    r"\s*(\d+)[\d.]*\s*[;,]?\s*(?:url\s*=)?\s*[\"']?([^\"']*)", re.IGNORECASE
)
_BUTTON_TYPES: Final = ("submit", "button", "reset", "image")


@dataclass
class Link:
    """A link, with its absolute URL."""

    text: str
    url: str
    position: int = -1


@dataclass
class Document:
    """What a page shows.

    :ivar text: its title and its text; each white space is one blank.
    :ivar heading: its first heading, or its title.
    :ivar names: the names of all controls that are not disabled, also of hidden ones.
    :ivar refresh: the URL that the page leads to by itself (``<meta http-equiv="refresh">``), or an
        empty text.
    """

    text: str = ""
    heading: str = ""
    forms: list[Form] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    refresh: str = ""

    @property
    def names(self) -> set[str]:
        return {each.name for form in self.forms for each in form.controls if each.name}

    def says(self, text: str) -> bool:
        """Whether the text is on the page. Upper and lower case are alike."""
        return folded(text).casefold() in self.text.casefold()

    def link(self, text: str) -> Link:
        """Return the first link with this text (:func:`.fits`).

        :raises NotThere: the page has none.
        """
        for link in self.links:
            if fits(text, link.text):
                return link
        shown = ", ".join(f'"{link.text}"' for link in self.links[:20] if link.text) or "none"
        raise NotThere(f'It has no link "{text}". It has {shown}.')


def folded(text: str) -> str:
    """Return the text with one blank in the place of each white space."""
    return " ".join(text.split())


def read(html: str, url: str) -> Document:
    """Read a page.

    :param url: its URL, to which its links are relative.
    """
    reader = _Reader(url)
    reader.feed(html)
    reader.close()
    return reader.document()


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._base = url
        self._texts: list[str] = []
        #: Texts of elements that are open now: those of a button, for example.
        self._open: dict[str, list[str]] = {}
        self._unseen: list[str] = []
        self._titles: dict[str, str] = {}
        self._forms: list[Form] = []
        self._by_id: dict[str, Form] = {}
        self._form: Form | None = None
        #: Controls with the form that they are in, and the ID of the form that they name.
        self._controls: list[tuple[Control, Form | None, str]] = []
        self._fieldsets: list[bool] = []
        self._control: Control | None = None
        self._option: Option | None = None
        self._links: list[Link] = []
        self._link: Link | None = None
        self._refresh = ""

    def document(self) -> Document:
        """Return the page, once all of it was read."""
        for tag in list(self._open):
            self._end(tag)
        for control, form, form_id in self._controls:
            owner = self._by_id.get(form_id) if form_id else form
            if owner is not None:
                owner.controls.append(control)
        heading = self._titles.get("h1") or self._titles.get("title", "")
        text = folded("".join(self._texts))
        return Document(text, heading, self._forms, self._links, self._refresh)

    # --- What html.parser calls -----------------------------------------------------------------

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if "textarea" in self._open:
            self._open["textarea"].append(self.get_starttag_text() or "")
            return
        if tag in _UNSEEN:
            self._unseen.append(tag)
        if self._unseen:
            return
        if tag not in _INLINE:
            self._texts.append(" ")
        # Of an attribute that comes twice, browsers take the first.
        self._start(tag, {name: value or "" for name, value in reversed(attrs)})

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # HTML knows no <div/>: browsers take it for <div>.
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if "textarea" in self._open and tag != "textarea":
            self._open["textarea"].append(f"</{tag}>")
            return
        if tag in self._unseen:
            del self._unseen[self._unseen.index(tag) :]
        elif not self._unseen:
            if tag not in _INLINE:
                self._texts.append(" ")
            self._end(tag)

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        if "textarea" not in self._open:
            self._texts.append(data)
        for texts in self._open.values():
            texts.append(data)

    # --- Elements -------------------------------------------------------------------------------

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag in ("h1", "title"):
            self._open.setdefault(tag, [])
        elif tag == "base" and "href" in attributes and self._base == self._url:
            self._base = urljoin(self._url, attributes["href"])
        elif tag == "meta" and attributes.get("http-equiv", "").lower() == "refresh":
            self._start_refresh(attributes.get("content", ""))
        elif tag == "form":
            self._start_form(attributes)
        elif tag == "fieldset":
            self._fieldsets.append("disabled" in attributes)
        elif tag == "a" and "href" in attributes:
            self._end("a")
            self._link = Link("", urljoin(self._base, attributes["href"].strip()))
            self._open["a"] = []
        elif tag in ("input", "button", "select", "textarea"):
            self._start_control(tag, attributes)
        elif tag == "option":
            self._start_option(attributes)

    def _start_refresh(self, content: str) -> None:
        found = _REFRESH.match(content)
        if found and found[2].strip() and int(found[1]) <= _LONGEST_REFRESH:
            self._refresh = self._refresh or urljoin(self._base, found[2].strip())

    def _start_form(self, attributes: dict[str, str]) -> None:
        if self._form is not None:
            return
        self._form = Form(
            action=urljoin(self._base, attributes["action"].strip())
            if attributes.get("action", "").strip()
            else self._url,
            method=attributes.get("method", "get").lower() or "get",
            encoding=attributes.get("enctype", ""),
        )
        if self._form.method not in ("get", "post", "dialog"):
            self._form.method = "get"
        self._forms.append(self._form)
        self._by_id.setdefault(attributes.get("id", ""), self._form)

    def _start_control(self, tag: str, attributes: dict[str, str]) -> None:
        kind_of_input = attributes.get("type", "" if tag == "input" else "submit").lower()
        control = Control(
            kind=kind_of(tag, kind_of_input),
            name=attributes.get("name", ""),
            value=attributes.get("value", ""),
            is_checked="checked" in attributes,
            takes_several="multiple" in attributes,
            method=attributes.get("formmethod", "").lower(),
        )
        if "formaction" in attributes:
            control.action = urljoin(self._base, attributes["formaction"].strip())
        if control.kind in ("checkbox", "radio") and "value" not in attributes:
            control.value = "on"
        if tag == "input" and control.kind == "button":
            control.text = folded(control.value or attributes.get("alt", "")) or "Submit"
        self._end("button")
        if tag != "input":
            self._control, self._open[tag] = control, []
        # Buttons of the types button and reset send nothing.
        sends = control.kind != "button" or kind_of_input not in ("button", "reset")
        if sends and "disabled" not in attributes and not any(self._fieldsets):
            self._controls.append((control, self._form, attributes.get("form", "")))

    def _start_option(self, attributes: dict[str, str]) -> None:
        self._end("option")
        if self._control is not None and "select" in self._open and "disabled" not in attributes:
            self._option = Option(attributes.get("value", "\0"), "", "selected" in attributes)
            self._control.options.append(self._option)
            self._open["option"] = []

    def _end(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "fieldset" and self._fieldsets:
            self._fieldsets.pop()
        if tag == "select":
            self._end("option")
        if tag not in self._open:
            return
        raw = "".join(self._open.pop(tag))
        self._end_text(tag, raw, folded(raw))

    def _end_text(self, tag: str, raw: str, text: str) -> None:
        if tag in ("h1", "title"):
            self._titles.setdefault(tag, text)
        elif tag == "a" and self._link is not None:
            self._link.text = text
            self._links.append(self._link)
        elif tag == "option" and self._option is not None:
            self._option.text = text
            if self._option.value == "\0":
                self._option.value = text
        elif tag == "button" and self._control is not None:
            self._control.text = text
        elif tag == "textarea" and self._control is not None:
            self._control.value = raw.removeprefix("\r\n").removeprefix("\n")


def kind_of(tag: str, kind: str) -> str:
    """Return the kind of a control as :class:`.Control` has it.

    :param tag: ``input``, ``button``, ``select`` or ``textarea``.
    :param kind: its attribute ``type``.
    """
    if tag == "button" or (tag == "input" and kind in _BUTTON_TYPES):
        return "button"
    if tag == "input" and kind in ("checkbox", "radio", "hidden", "file"):
        return kind
    return "select" if tag == "select" else "text"
