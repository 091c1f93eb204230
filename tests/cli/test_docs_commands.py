"""The commands on these pages are ones that the program understands."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from napari_effseg.cli._app import app
from tests.conftest import REPOSITORY

PAGES = ("batch.md", "cluster.md", "prompts.md", "click_quality.md")


def commands(page: str) -> list[list[str]]:
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8").replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(r"^effseg .*", text, re.MULTILINE)]


@pytest.mark.parametrize("page", PAGES)
def test_their_options_exist(page: str) -> None:
    assert commands(page)
    for _, name, *arguments in commands(page):
        command = app.get_command(click.Context(app), name)
        assert command is not None
        with command.make_context(name, arguments) as context:
            assert context.params
