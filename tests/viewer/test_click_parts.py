"""Parts of *Click segmentation* that need no viewer: gestures, outlines, where sessions are kept."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_effseg.errors import PromptError
from napari_effseg.history import Add, History
from napari_effseg.io.effseg import read_session, write_session
from napari_effseg.prompts import Box, Lasso, Mask, Point, Scribble
from napari_effseg.session_state import SessionState, packed
from napari_effseg.viewer.click_gestures import edges_of, found_at, middle_of, prompt_of, rows_of, segments_of
from napari_effseg.viewer.click_places import Place
from napari_effseg.viewer.click_saving import Cadence, Keeper, Keeping, keeping_of, offer_among
from napari_effseg.viewer.click_state import Tool
from napari_effseg.viewer.layers import image_layers
from napari_effseg.viewer.source import Origin

from .builders import volume_of

SHAPE = (20, 16, 8)


def path(*indices, axis=2):
    return [Place(np.array(index, float), axis) for index in indices]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_gesture_lies_in_the_plane_that_was_shown(axis):
    corners = np.array([(2, 2, 2), (6, 6, 6), (2, 6, 4)], float)
    corners[:, axis] = 3
    for tool in (Tool.BOX, Tool.SCRIBBLE, Tool.LASSO):
        assert prompt_of(tool, path(*corners, axis=axis), SHAPE, True).axis == axis


@given(st.lists(st.floats(0, 7), min_size=2, max_size=2), st.lists(st.floats(9, 15), min_size=2, max_size=2))
def test_a_box_has_the_voxels_under_both_ends_of_the_drag(start, end):
    box = prompt_of(Tool.BOX, path((*start, 3), (*end, 3)), SHAPE, True)
    first, last = (np.floor(np.array([*ends, 3]) + 0.5) for ends in (start, end))
    np.testing.assert_array_equal((box.low, np.array(box.high) - 1), (first, last))


def test_what_is_drawn_stays_in_the_image():
    line = prompt_of(Tool.SCRIBBLE, path((18, 3, 3), (40, 3, 3)), SHAPE, True)
    assert line.points.max(axis=0).tolist() == [19, 3, 3]


@pytest.mark.parametrize(
    ("tool", "places"),
    [
        (Tool.POINT, [(-3, 4, 2)]),
        (Tool.BOX, [(4, 4, 2), (4.2, 4.1, 2)]),
        (Tool.LASSO, [(4, 4, 2), (5, 4, 2)]),
        (Tool.SCRIBBLE, [(-9, 4, 2), (-4, 4, 2)]),
    ],
)
def test_gestures_that_are_too_small_or_outside_are_refused(tool, places):
    with pytest.raises(PromptError, match=r"\w"):
        prompt_of(tool, path(*places), SHAPE, True)


PROMPTS = {
    1: Point((4, 5, 2)),
    2: Box((8, 2, 2), (14, 9, 3), positive=False),
    3: Scribble([(2, 12, 2), (9, 12, 2)]),
    4: Lasso([(15, 10, 2), (18, 10, 2), (18, 14, 2)]),
}


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((4.4, 5.2, 2), 1),
        ((13.4, 5, 2), 2),
        ((11, 5, 2), None),
        ((6, 12.5, 2), 3),
        ((16.5, 12.1, 2), 4),
        ((4, 5, 3), None),
        ((8, 15, 2), None),
    ],
)
def test_the_nearest_prompt_of_the_slice_is_found(place, expected):
    assert found_at(PROMPTS, path(place)[0], (1.0, 1.0, 1.0), 1.0) == expected


def test_distances_are_in_millimetres():
    assert found_at(PROMPTS, path((5, 5, 2))[0], (0.5, 1, 1), 0.6) == 1
    assert found_at(PROMPTS, path((5, 5, 2))[0], (2.0, 1, 1), 0.6) is None


def test_prompts_are_listed_with_sign_kind_and_place():
    words = [row.words for row in rows_of(PROMPTS)]
    assert words[:2] == ["+ point at 4, 5, 2", "\N{MINUS SIGN} box at 11, 5, 2"]
    assert middle_of(Mask(np.ones((3, 3, 1), bool))) == (1, 1, 0)


def test_a_solid_box_is_outlined_in_each_of_its_slices():
    pieces = segments_of(Box((2, 3, 1), (6, 7, 4)))
    assert sorted(set(pieces[..., 2].ravel())) == [1, 2, 3]
    assert (pieces[..., 0].min(), pieces[..., 0].max()) == (1.5, 5.5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_outline_runs_along_the_borders_of_voxels(axis):
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1:4] = True
    edges = edges_of(np.expand_dims(mask, axis), (5, 6, 7), axis)
    assert len(edges) == 2 * (2 + 3)
    assert (edges[..., axis] == (5, 6, 7)[axis]).all()
    lengths = np.abs(edges[:, 1] - edges[:, 0]).sum(axis=1)
    np.testing.assert_array_equal(lengths, 1)
    rows, columns = (other for other in range(3) if other != axis)
    assert edges[..., rows].min() == (5, 6, 7)[rows] + 0.5
    assert edges[..., columns].max() == (5, 6, 7)[columns] + 3.5


# --- where sessions are kept ---


def layer_of(origin=None, **keywords):
    from napari.layers import Layer

    (triple,) = image_layers(volume_of(), "scan", origin=origin, **keywords)
    return Layer.create(*triple)


@pytest.fixture
def own(monkeypatch, tmp_path):
    folder = tmp_path / "own"
    monkeypatch.setenv("EFFSEG_SESSIONS", str(folder))
    return folder


def keeping(origin=None, frame=None):
    return keeping_of(layer_of(origin), frame, volume_of())


def test_a_session_is_kept_beside_its_image(tmp_path, own):
    file = tmp_path / "scan.nii.gz"
    file.touch()
    kept = keeping(Origin((file,)))
    assert kept.autosaved == tmp_path / "scan.autosave.effseg"
    assert kept.by_hand == tmp_path / "scan.effseg"
    assert keeping(Origin((file,)), frame=3).autosaved.name == "scan-t3.autosave.effseg"


def test_a_series_is_kept_beside_its_folder(tmp_path, own):
    folder = tmp_path / "series"
    folder.mkdir()
    files = tuple(folder / f"{n}.dcm" for n in range(3))
    for file in files:
        file.touch()
    one, other = (keeping(Origin(files, series=uid)) for uid in ("1.2", "1.3"))
    assert one.folder == tmp_path
    assert one.stem.startswith("series-")
    assert one != other


def test_an_image_without_a_file_is_known_by_its_voxels(own):
    assert keeping() == keeping()
    other = volume_of(axcodes="LPS")
    assert keeping_of(layer_of(), None, other) != keeping()
    assert keeping().folder == own


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may all")
def test_a_folder_that_cannot_be_written_to_is_left_alone(tmp_path, own):
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "scan.nii").touch()
    folder.chmod(0o500)
    assert keeping(Origin((folder / "scan.nii",))).folder == own


def state_of(volume, points=1):
    history = History()
    for at in range(points):
        history.do(Add(history.new_id(), Point((at, 0, 0))))
    mask = np.zeros(volume.shape, bool)
    return SessionState("0" * 64, volume.shape, volume.affine, "fake", "0" * 64, history, (), packed(mask))


def test_the_newest_session_of_the_image_is_offered(tmp_path):
    volume = volume_of()
    old, new, other = (tmp_path / f"{name}.effseg" for name in ("old", "new", "other"))
    write_session(state_of(volume, 1), old)
    write_session(state_of(volume, 2), new)
    write_session(state_of(volume_of("LPS", 20), 3), other)
    os.utime(old, (1, 1))
    (tmp_path / "broken.effseg").write_bytes(b"PK no")
    offer = offer_among([old, new, other, tmp_path / "broken.effseg", tmp_path / "none.effseg"], [volume])
    assert (offer.path, offer.actions) == (new, 2)
    assert "2 steps" in offer.words
    assert offer_among([other], [volume]) is None


class Saved:
    """A session that can do nothing but save."""

    def __init__(self, points):
        self._points = points

    def save(self, path):
        write_session(state_of(volume_of(), self._points), path)


def test_sessions_that_nobody_went_on_with_are_all_kept(tmp_path):
    place = Keeping(tmp_path, "scan")
    for points in (1, 2, 3):
        keeper = Keeper(place, None)
        keeper.autosave(Saved(points))
        keeper.autosave(Saved(points))
    steps = {path.name: len(read_session(path).history.actions) for path in tmp_path.iterdir()}
    assert steps == {"scan.autosave.effseg": 3, "scan.earlier.effseg": 1, "scan.earlier-2.effseg": 2}


def test_a_session_that_goes_on_replaces_itself(tmp_path):
    place = Keeping(tmp_path, "scan")
    Keeper(place, None).autosave(Saved(1))
    Keeper(place, place.autosaved).autosave(Saved(2))
    assert [path.name for path in tmp_path.iterdir()] == ["scan.autosave.effseg"]


def test_every_third_action_is_saved_and_what_took_long_at_once():
    cadence = Cadence()
    due = []
    for _ in range(3):
        cadence.did()
        due.append(cadence.is_due)
    assert due == [False, False, True]
    cadence.saved()
    assert not cadence.is_dirty
    cadence.did(much=True)
    assert cadence.is_due
