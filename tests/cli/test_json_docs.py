"""Every key of every JSON document is named in docs/json.md."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_effseg.evaluation import ScanRow
from tests.conftest import REPOSITORY

from .conftest import Command

pytestmark = pytest.mark.usefixtures("models")
NAMED = set(re.findall(r"[a-z][a-z0-9_]+", (REPOSITORY / "docs" / "json.md").read_text(encoding="utf-8")))
FREE = {"versions", "constructor", "scan"}
"""Objects whose keys are names of packages, arguments or devices."""


def keys_of(document: Any) -> Iterator[str]:
    if isinstance(document, list):
        for entry in document:
            yield from keys_of(entry)
    elif isinstance(document, dict):
        for key, value in document.items():
            yield key
            if key not in FREE:
                yield from keys_of(value)


def test_the_report_of_a_segmentation(effseg: Command, scan: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    assert effseg("segment", scan, "-m", "synthetic", "--roi", "0,0,0:9,9,9", "--report", report).code == 0
    assert set(keys_of(json.loads(report.read_text()))) <= NAMED


def test_doctor(effseg: Command) -> None:
    assert set(keys_of(json.loads(effseg("doctor", "--json").out))) <= NAMED


def test_bench(effseg: Command, tmp_path: Path) -> None:
    numbers = tmp_path / "bench.json"
    assert effseg("bench", "synthetic", "--no-scan", "--json", numbers).code == 0
    assert set(keys_of(json.loads(numbers.read_text()))) <= NAMED


def test_a_row_of_the_scan() -> None:
    assert {field.name for field in dataclasses.fields(ScanRow)} <= NAMED


def test_models(effseg: Command) -> None:
    document = json.loads(effseg("models", "--json").out)
    assert set(document) <= NAMED
    assert set(document["models"][0]["weights"]) <= NAMED
    assert set(keys_of(document["models"][0]["labels"])) <= NAMED
