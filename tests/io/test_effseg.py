"""Session files: what is written is read, and what is broken is said."""

import contextlib
import json
import os
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_effseg import Box, ExportError, ImageReadError, Lasso, Mask, Point, Scribble
from napari_effseg.history import Add, Choose, Commit, Edit, History, Propagate, Remove, Stroke
from napari_effseg.io.effseg import read_session, write_session
from napari_effseg.session_state import ObjectVoxels, SessionState
from napari_effseg.session_time_file import TimeState, read_time_session, write_time_session

SHAPE = (5, 6, 7)
BITS = (5 * 6 * 7 + 7) // 8


def everything():
    """A history that has one of each."""
    inside = np.random.default_rng(0).random((2, 3, 1)) > 0.5
    array = np.random.default_rng(1).random(SHAPE) > 0.8
    line = [(0, 0, 1), (2, 2.5, 1), (0, 3, 1)]
    actions = [
        Add(1, Point((1, 2, 3), positive=False, axis=1), 0),
        Add(2, Box((0, 0, 2), (3, 4, 3))),
        Add(3, Scribble(line, 1.5)),
        Add(4, Lasso(line, positive=False)),
        Stroke(5, ((1, 1, 1), (3, 4, 2)), inside, positive=False),
        Commit(7, "left atrium, Größe 1", (1, 2, 3)),
        Add(6, Mask(array)),
        Edit(6, Point((0, 0, 0))),
        Choose(2, 3, 1),
        Propagate(2),
        Propagate(1, 0, 4),
        Remove(6),
    ]
    return History(actions, len(actions) - 1, 9)


def state(history=None):
    history = history or everything()
    commits = [action for action in history.applied if isinstance(action, Commit)]
    random = np.random.default_rng(2)
    masks = [random.integers(0, 255, BITS, np.uint8) for _ in range(len(commits) + 1)]
    objects = tuple(ObjectVoxels(commit, mask) for commit, mask in zip(commits, masks[1:], strict=True))
    affine = random.random((4, 4))
    return SessionState("a" * 64, SHAPE, affine, "prompt-unet", "b" * 64, history, objects, masks[0])


def described(action):
    """An action in values that compare."""
    if isinstance(action, Add | Edit):
        fields = vars(action.prompt)
        return (type(action), action.id, type(action.prompt), *map(_plain, fields.values()))
    return (type(action), *map(_plain, vars(action).values()))


def _plain(value):
    return (value.shape, value.dtype, value.tobytes()) if isinstance(value, np.ndarray) else value


def test_everything_comes_back(tmp_path):
    given = state()
    found = read_session(write_session(given, tmp_path / "case.effseg"))
    assert [described(a) for a in found.history.actions] == [described(a) for a in given.history.actions]
    assert len(found.history.applied) == len(given.history.applied)
    assert found.history.last_id == 9
    for name in ("image_sha256", "shape", "model", "weights_sha256"):
        assert getattr(found, name) == getattr(given, name)
    assert (found.affine == given.affine).all()
    assert (found.mask_bits == given.mask_bits).all()
    assert [(one.bits == other.bits).all() for one, other in zip(found.objects, given.objects, strict=True)]
    assert found.objects[0].commit.name == "left atrium, Größe 1"


def test_a_newer_minor_version_opens_and_a_newer_major_one_does_not(tmp_path):
    path = write_session(state(), tmp_path / "case.effseg")
    _change(path, lambda document: {**document, "version": "1.7", "news": [1]})
    read_session(path)
    _change(path, lambda document: {**document, "version": "2.0"})
    with pytest.raises(ImageReadError, match="Update"):
        read_session(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: {**d, "mask": 99},
        lambda d: {**d, "mask": -1},
        lambda d: {**d, "objects": []},
        lambda d: {**d, "image": {**d["image"], "shape": [10**6, 10**6, 10**6]}},
        lambda d: {**d, "image": {**d["image"], "shape": [5, 6, 70]}},
        lambda d: {**d, "image": {**d["image"], "affine": [1]}},
        lambda d: {**d, "history": {**d["history"], "applied": 99}},
        lambda d: {**d, "history": {**d["history"], "actions": [{"do": "explode"}]}},
        lambda d: {**d, "format": "something else"},
        lambda d: {k: v for k, v in d.items() if k != "model"},
    ],
)
def test_a_changed_file_is_refused_in_words(tmp_path, change):
    path = write_session(state(), tmp_path / "case.effseg")
    _change(path, change)
    with pytest.raises(ImageReadError, match=r"case\.effseg"):
        read_session(path)


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=3))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_is_never_more_than_a_refusal(tmp_path, place, junk):
    path = write_session(state(), tmp_path / "whole.effseg")
    content = bytearray(path.read_bytes())
    start = place % len(content)
    content[start : start + len(junk)] = junk
    damaged = tmp_path / "damaged.effseg"
    damaged.write_bytes(content)
    with contextlib.suppress(ImageReadError):
        read_session(damaged)


@pytest.mark.parametrize("content", [b"", b"PK", b"hello"])
def test_no_zip_is_said(tmp_path, content):
    path = tmp_path / "case.effseg"
    path.write_bytes(content)
    with pytest.raises(ImageReadError, match="no session file"):
        read_session(path)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(ImageReadError, match="no such file"):
        read_session(tmp_path / "none.effseg")


def test_another_ending_is_refused_and_an_old_file_stays(tmp_path):
    path = write_session(state(), tmp_path / "case.effseg")
    before = path.read_bytes()
    with pytest.raises(ExportError, match=r"\.effseg"):
        write_session(state(), tmp_path / "case.zip")
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["case.effseg"]


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    left, fresh, other = (
        tmp_path / f".{name}.effseg" for name in ("case.0123abcd", "case.4567abcd", "b.0123abcd")
    )
    for path in (left, fresh, other):
        path.write_bytes(b"half")
    for path in (left, other):
        os.utime(path, (0, 0))
    write_session(state(), tmp_path / "case.effseg")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "case.effseg", fresh, other])


def test_a_session_over_time_is_told_from_that_of_an_image(tmp_path):
    one = write_session(state(), tmp_path / "one.effseg")
    film = write_time_session(TimeState((state(), state()), ()), tmp_path / "film.effseg")
    with pytest.raises(ImageReadError, match="all its time points"):
        read_session(film)
    with pytest.raises(ImageReadError, match="give it alone"):
        read_time_session(one)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.effseg"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("session.json", b" " * (65 * 2**20))
    with pytest.raises(ImageReadError, match="claims"):
        read_session(path)


def _change(path, change):
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["session.json"] = json.dumps(change(json.loads(members["session.json"]))).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
