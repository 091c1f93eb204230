"""The self tests that a full Slicer runs, run here as far as they go without the application."""

import sys
import unittest

import pytest

from .conftest import EXTENSION

TESTS = EXTENSION / "EffSeg" / "Testing" / "Python"


@pytest.fixture
def result(scene, monkeypatch):
    """Run a file of them."""
    monkeypatch.setattr(sys, "path", [str(TESTS), *sys.path])

    def run(name):
        found = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromName(name).run(found)
        return found

    return run


def test_those_without_a_window_pass(result):
    found = result("EffSegPlacesTest")
    assert found.testsRun == 2
    assert found.wasSuccessful(), found.failures + found.errors


def test_those_of_the_window_are_there(result):
    suite = unittest.defaultTestLoader.loadTestsFromName("EffSegWindowTest")
    assert suite.countTestCases() == 2


def test_cmake_knows_all_of_them():
    listed = (TESTS / "CMakeLists.txt").read_text(encoding="utf-8")
    assert all(path.name in listed for path in TESTS.glob("*.py"))
