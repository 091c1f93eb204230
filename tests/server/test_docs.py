"""What the pages say of the server is so."""

import re

import click

from napari_effseg.cli._app import app
from tests.conftest import REPOSITORY

from .test_door import ask

PAGE = (REPOSITORY / "docs" / "server.md").read_text(encoding="utf-8")


def test_every_address_is_on_the_page_and_none_is_that_is_not_there(server):
    _, _, about = ask(server, "GET", "/openapi.json")
    there = {(method.upper(), path) for path, methods in about["paths"].items() for method in methods}
    ours = {pair for pair in there if pair[1].startswith(("/v1", "/health"))}
    assert set(re.findall(r"^\| `([A-Z]+) (/[^`]+)`", PAGE, re.MULTILINE)) == ours
    for _, path in there - ours:
        assert path.split("/")[1] in PAGE


def test_every_option_is_on_the_page_and_none_is_that_is_not_there():
    command = app.get_command(click.Context(app), "serve")
    named = {
        option
        for line in re.findall(r"^\| (`--.*?) \|", PAGE, re.MULTILINE)
        for option in re.findall(r"--[\w-]+", line)
    }
    there = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    assert named == there - {"--keys", "--quiet", "--verbose"}


def test_every_action_is_on_the_page():
    from napari_effseg.server.hosting import _ACTIONS

    actions = PAGE.partition("| `do` | with |")[2].partition("A prompt is")[0]
    named = set(
        re.findall(r"`(\w+)`", "\n".join(line.split("|")[1] for line in actions.splitlines() if "|" in line))
    )
    assert named == set(_ACTIONS)


def test_the_limits_are_those_on_the_page_about_security():
    from napari_effseg.server.settings import Settings

    text = " ".join((REPOSITORY / "docs" / "security.md").read_text(encoding="utf-8").split())
    found = Settings(keys={})
    assert f"{found.most_leases} clients, {found.most_volumes} images, {found.most_jobs} jobs" in text
    assert f"{found.most_sessions} sessions" in text
    assert f"{found.requests_per_second:g} requests a second" in text
    assert f"{found.request_burst:g} at once" in text
    assert f"silent for {found.body_seconds:g} s" in text
    assert found.volume_limits.header == 256 * 1024


def test_what_the_page_shows_of_a_message_is_one():
    import json

    from napari_effseg.server.reader import _described
    from napari_effseg.server.wire import Limits

    shown = re.search(r'"arrays": \[(\{"dtype".*?\})\]', PAGE)[1]
    part = _described(json.loads(shown), Limits())
    assert (part.shape, part.axes, part.length) == ((64, 64, 32), (2, 1, 0), 90311)
