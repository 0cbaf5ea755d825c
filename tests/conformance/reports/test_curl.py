"""The command that sends a request again."""

import shutil
import subprocess
from typing import Any

import pytest

from reciprocal_oauth.conformance.reports import curl

from .sample import FORM, HANDED_OVER, REDEEMED

BASH = shutil.which("bash")
needs_bash = pytest.mark.skipif(BASH is None, reason="needs bash")


def exchange(**values: Any) -> dict[str, Any]:
    return {**HANDED_OVER, "request_headers": [["Content-Type", FORM]], **values}


def arguments(command: str) -> list[str]:
    """What curl would get: a shell splits the command for a function that takes its place."""
    shell = f"curl() {{ printf '%s\\0' \"$@\"; }}\n{command}"
    given = subprocess.run([str(BASH), "-c", shell], capture_output=True, check=True)
    assert given.stderr == b""
    return given.stdout.decode().split("\0")[:-1]


@needs_bash
def test_the_command_sends_what_was_sent() -> None:
    assert arguments(curl.command(HANDED_OVER)) == [
        "https://music.example/o/token/",
        "-H",
        "Authorization: Basic <credentials 1>",
        "-H",
        f"Content-Type: {FORM}",
        "--data-raw",
        HANDED_OVER["request_body"],
    ]


def test_placeholders_stay() -> None:
    command = curl.command(HANDED_OVER)
    assert "<code 7>" in command
    assert "'Authorization: Basic <credentials 1>'" in command


@needs_bash
@pytest.mark.parametrize(
    "text",
    [
        "it's",
        "a\nb",
        "a\r\nb",
        '$(id) `id` $HOME ! \\ " * ?',
        "\t\x01\x1b[31m'\\n",
        "tab\t\\'",
        "ünï¢ødé 🎵",
        "-X",
        "@/etc/passwd",
        "\x9b\u202e",
    ],
)
def test_the_shell_changes_nothing(text: str) -> None:
    sent = exchange(url=f"http://127.0.0.1/?{text}", request_body=text)
    sent["request_headers"] = [["X-Odd", text]]
    given = arguments(curl.command(sent))
    assert f"http://127.0.0.1/?{text}" in given
    assert f"X-Odd: {text}" in given
    assert given[-1] == text


@needs_bash
def test_control_characters_are_written_visibly() -> None:
    command = curl.command(exchange(request_body="a\x1b\r\u202e"))
    assert command.endswith(r"--data-raw $'a\x1b\r\u202e'")


@pytest.mark.parametrize(
    ("method", "body", "start"),
    [
        ("POST", "a=b", "curl https://"),
        ("GET", "", "curl https://"),
        ("POST", "", "curl -X POST https://"),
        ("GET", "a=b", "curl -X GET https://"),
        ("OPTIONS", "", "curl -X OPTIONS https://"),
        ("HEAD", "", "curl --head https://"),
    ],
)
def test_the_method_is_said_where_curl_would_take_another(
    method: str, body: str, start: str
) -> None:
    assert curl.command(exchange(method=method, request_body=body)).startswith(start)


def test_curl_computes_the_length_itself() -> None:
    assert "Content-Length" not in curl.command(HANDED_OVER)


def test_a_host_other_than_that_of_the_url_is_sent() -> None:
    sent = exchange(request_headers=[["Host", "music.example"], ["host", "other.example"]])
    command = curl.command(sent)
    assert "-H 'host: other.example'" in command
    assert "music.example'" not in command


def test_a_body_without_a_type_stays_without_one() -> None:
    assert "-H Content-Type: " in curl.command(exchange(request_headers=[]))


def test_a_header_without_a_value_is_sent() -> None:
    command = curl.command(exchange(request_headers=[["Origin", ""], ["Content-Type", FORM]]))
    assert "-H 'Origin;'" in command


def test_brackets_in_a_url_are_no_patterns() -> None:
    assert "--globoff" in curl.command(exchange(url="http://127.0.0.1/?a[]=1"))
    assert "--globoff" not in curl.command(HANDED_OVER)


def test_a_nul_is_not_lost_silently() -> None:
    assert curl.command(exchange(request_body="a\0b")).startswith("# The body holds NUL")


def test_a_request_that_is_no_url_has_a_command() -> None:
    assert "http://[" in curl.command({**REDEEMED, "url": "http://["})
