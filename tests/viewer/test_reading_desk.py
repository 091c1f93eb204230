"""The desk on napari's viewer model: what is offered, what the reader does, what follows from it; no Qt."""

from __future__ import annotations

import threading

import numpy as np
import pytest

pytest.importorskip("napari", reason="needs the extra [napari]")

from napari.components import ViewerModel
from napari.layers import Layer

from napari_effseg.viewer.inference import Inference
from napari_effseg.viewer.layers import labels_layer
from napari_effseg.viewer.orientation import EdgeLetters, Plane, Sides
from napari_effseg.viewer.reading_desk import ReadingDesk
from napari_effseg.volume import IntensityWindow, LabelMap, LazyView, Volume

from .reading_cases import SHAPE, add, affine_of, camera_words, coordinates, needs_turning

AFFINE = affine_of((2, 0, 1), (1, -1, -1))
RAMP = np.linspace(-1000, 2000, np.prod(SHAPE)).reshape(SHAPE).astype(np.int16)


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def reader():
    reader = Inference()
    yield reader
    assert reader.close(wait_seconds=10)


@pytest.fixture
def desk(viewer, reader):
    desk = ReadingDesk(viewer, reader)
    yield desk
    desk.close()


def waiting(desk):
    """Event that is set when late words or a late window arrive."""
    arrived = threading.Event()
    desk.read = arrived.set
    return arrived


def test_without_an_image_everything_is_off_and_says_so(desk):
    state = desk.state()
    assert (state.image, state.plane, state.window, state.choices) == ("", None, None, ())
    assert state.why_no_anatomy == state.why_not_turnable == state.notes[0] == "There is no image yet."


def test_a_scan_is_shown_upright_as_soon_as_it_is_there(viewer, desk):
    needs_turning(viewer)
    add(viewer, Volume(RAMP, AFFINE))
    state = desk.state()
    assert (state.image, state.plane) == ("scan", Plane.AXIAL)
    assert state.letters == EdgeLetters(left="R", right="L", top="A", bottom="P")
    assert camera_words(viewer) == ("away", "down", "right")
    assert state.notes == ()


def test_a_copy_of_unknown_orientation_becomes_known_beside_its_scan(viewer, desk):
    scan = add(viewer, Volume(RAMP, AFFINE))
    (viewer_layer,) = viewer.layers
    viewer.layers.clear()
    smooth = viewer.add_image(scan.data, scale=scan.scale, translate=scan.translate, name="smooth")
    assert not desk.state().letters
    viewer.layers.insert(0, viewer_layer)
    viewer.layers.selection.active = smooth
    assert (desk.state().image, desk.state().letters.right) == ("smooth", "L")


def test_rolled_axes_stay_upright(viewer, desk):
    needs_turning(viewer)
    add(viewer, Volume(RAMP, AFFINE))
    for _ in range(3):
        viewer.dims.roll()
        state = desk.state()
        if state.plane is Plane.SAGITTAL:
            assert (state.letters.top, state.letters.left) == ("S", "A")
        assert "I" not in state.letters.top


def test_left_and_right_change_places_and_back(viewer, desk):
    needs_turning(viewer)
    add(viewer, Volume(RAMP, AFFINE))
    assert desk.state().letters.right == "L"
    desk.exchange_sides(Sides.NEUROLOGICAL)
    assert desk.state().letters.right == "R"
    desk.show_plane(Plane.CORONAL)
    assert desk.state().letters.right == "R"
    desk.exchange_sides(Sides.RADIOLOGICAL)
    assert desk.state().letters.right == "L"


def test_a_picture_is_never_mirrored_because_a_scan_was(viewer, desk):
    needs_turning(viewer)
    scan = add(viewer, Volume(RAMP, AFFINE))
    desk.exchange_sides(Sides.NEUROLOGICAL)
    viewer.add_image(np.zeros((20, 30, 3), dtype=np.uint8), rgb=True, name="photo")
    assert camera_words(viewer) == ("towards", "down", "right")
    state = desk.state()
    assert not state.letters
    assert "picture" in state.why_no_anatomy
    assert all("colour" in choice.reason or "no window" in choice.reason for choice in state.choices)
    viewer.layers.selection.active = scan
    assert desk.state().letters.right == "R"


def test_letters_can_be_hidden(viewer, desk):
    add(viewer, Volume(RAMP, AFFINE))
    desk.letters_on(False)
    assert not desk.state().letters


def test_the_reader_may_say_how_an_unknown_volume_lies(viewer, desk):
    viewer.add_image(np.zeros(SHAPE), name="stack")
    state = desk.state()
    assert (state.can_assume, state.is_assumed, bool(state.letters)) == (True, False, False)
    desk.assume_axes(True)
    state = desk.state()
    assert (state.can_assume, state.is_assumed, state.letters.right) == (True, True, "L")
    desk.assume_axes(False)
    assert not desk.state().letters


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing:UserWarning")
def test_a_tilted_scan_says_how_it_is_drawn(viewer, desk):
    add(viewer, Volume(RAMP, affine_of((0, 1, 2), (1, 1, 1), 15)))
    assert "without the tilt" in desk.state().notes[0]


def test_labels_without_an_image_have_letters_and_names_and_no_window(viewer, desk):
    found = LabelMap(np.ones(SHAPE, dtype=np.uint8), AFFINE, {1: "left thing"})
    viewer.add_layer(Layer.create(*labels_layer(found)))
    state = desk.state()
    assert (state.letters.right, state.window, state.chosen) == ("L", None, "")
    assert all(choice.reason for choice in state.choices)
    desk.set_window(IntensityWindow(1, 2))
    x, y, z = coordinates(AFFINE)[:, 5, 2, 6]
    viewer.dims.set_point(0, z)
    words = desk.pick((z, -y, -x)) and desk.words
    assert (words.value, words.label) == ("1", "left thing (1)")


def test_a_window_of_ct_is_chosen_by_name_and_by_numbers(viewer, desk):
    scan = add(viewer, Volume(RAMP, AFFINE, modality="CT"))
    desk.choose_window("CT lung")
    assert scan.contrast_limits == [-1350, 150]
    assert desk.state().chosen == "CT lung"
    desk.set_window(IntensityWindow(40, 80))
    assert desk.state().chosen == "CT brain"
    scan.contrast_limits = (3, 5)
    assert (desk.state().chosen, desk.state().window) == ("", IntensityWindow(4, 2))


def test_the_window_of_the_file_is_offered(viewer, desk):
    add(viewer, Volume(RAMP, AFFINE, modality="MR", window=(300, 900)))
    assert desk.state().chosen == "From the file"
    desk.set_window(IntensityWindow(1, 2))
    desk.choose_window("From the file")
    assert desk.state().window == IntensityWindow(300, 900)


def test_a_window_that_is_on_its_way_is_the_chosen_one_until_another_is(viewer, desk):
    slow = Slow(RAMP)
    scan = viewer.add_image(slow, contrast_limits=(0, 1))
    desk.choose_window("Auto (1-99 %)")
    assert desk.state().chosen == "Auto (1-99 %)"
    desk.set_window(IntensityWindow(5, 2))
    assert (desk.state().chosen, desk.state().notes[1:]) == ("", ())
    assert list(scan.contrast_limits) == [4, 6]


def test_a_window_that_makes_no_sense_is_not_taken(viewer, desk):
    scan = add(viewer, Volume(RAMP, AFFINE, modality="MR"))
    before = list(scan.contrast_limits)
    desk.choose_window("CT lung")
    assert list(scan.contrast_limits) == before


def after_looking(desk, name):
    """Choose a window that follows from the values, and wait until they have been seen."""
    done = threading.Event()
    desk.changed = lambda: done.set() if "Looking at" not in " ".join(desk.state().notes) else None
    desk.choose_window(name)
    assert done.wait(10)


@pytest.mark.parametrize(("name", "limits"), [("Full range", (-1000, 2000)), ("Auto (1-99 %)", (-970, 1970))])
def test_full_range_and_auto_follow_from_the_values(viewer, desk, name, limits):
    scan = viewer.add_image(RAMP)
    after_looking(desk, name)
    np.testing.assert_allclose(scan.contrast_limits, limits, atol=10)
    assert desk.state().chosen == name


def test_the_range_of_a_lazy_image_says_that_it_is_of_a_part(viewer, desk):
    lazy = LazyView(RAMP).transpose(2, 0, 1)  # 11 slices, of which 8 are read: it has no chunks
    scan = viewer.add_image(lazy, contrast_limits=(0, 1))
    after_looking(desk, "Full range")
    assert desk.state().notes[-1] == "From 72.7% of the image, read in a few places."
    assert -1000 <= scan.contrast_limits[0] < scan.contrast_limits[1] <= 2000


def test_an_image_of_one_value_has_no_range_and_says_so(viewer, desk):
    viewer.add_image(np.full(SHAPE, 7.0))
    done = threading.Event()
    desk.changed = lambda: done.set() if "Every value" in " ".join(desk.state().notes) else None
    desk.choose_window("Full range")
    assert done.wait(10)


def test_going_to_a_place_and_being_told_why_not(viewer, desk):
    add(viewer, Volume(RAMP, AFFINE))
    place = coordinates(AFFINE)[:, 3, 4, 5]
    desk.go_to(", ".join(f"{number:.3f}" for number in place))
    assert not any("place" in note for note in desk.state().notes)
    np.testing.assert_allclose(viewer.dims.point, (place[2], -place[1], -place[0]), atol=1e-3)
    desk.go_to("over there")
    assert "'over there' is no place" in desk.state().notes[0]
    desk.go_to("9999, 0, 0")
    assert "lies outside" in desk.state().notes[0]


def test_the_next_plane_goes_through_the_place_that_was_picked(viewer, desk):
    add(viewer, Volume(RAMP, AFFINE))
    desk.show_plane(Plane.AXIAL)
    picked = []
    desk.picked = picked.append
    x, y, z = coordinates(AFFINE)[:, 5, 2, 6]
    viewer.dims.set_point(0, z)
    desk.pick((z, -y, -x))
    assert picked == [f"{x:.1f}, {y:.1f}, {z:.1f}"]
    desk.show_plane(Plane.SAGITTAL)
    np.testing.assert_allclose(viewer.dims.point, (z, -y, -x), atol=1e-6)
    viewer.dims.set_point(2, viewer.dims.range[2].start)
    desk.show_plane(Plane.AXIAL)
    desk.show_plane(Plane.SAGITTAL)
    assert viewer.dims.point[2] == viewer.dims.range[2].start  # where the reader left it


def test_words_about_the_voxel_under_the_cursor(viewer, desk):
    scan = add(viewer, Volume(RAMP, AFFINE, modality="CT"))
    found = LabelMap(np.ones(SHAPE, dtype=np.uint8), AFFINE, {1: "left thing"})
    x, y, z = coordinates(AFFINE)[:, 5, 2, 6]
    viewer.dims.set_point(0, z)
    viewer.cursor.position = (z, -y, -x)
    words = desk.look()
    assert (words.voxel, words.label) == ("i 5  j 2  k 6", "")
    assert words.value == f"{RAMP[5, 2, 6]} HU"
    assert words.place == f"R {x:.1f}  A {y:.1f}  S {z:.1f}".replace("-0.0", "0.0")
    viewer.add_layer(Layer.create(*labels_layer(found, scan)))
    assert desk.look().label == "left thing (1)"
    viewer.dims.ndisplay = 3
    assert desk.look().voxel == "only in slices (2D)"


class Slow:
    """A lazy array whose voxels come when they are allowed to."""

    def __init__(self, data):
        self.data, self.allowed, self.asked = data, threading.Event(), []
        self.shape, self.ndim, self.dtype = data.shape, data.ndim, data.dtype

    def __getitem__(self, key):
        part = self.data[key]
        if np.size(part) == 1:
            self.asked.append(key)
            assert self.allowed.wait(10)
        return part


def test_a_value_that_is_slow_to_read_comes_later_and_one_voxel_at_a_time(viewer, desk):
    slow = Slow(np.arange(np.prod(SHAPE)).reshape(SHAPE))
    layer = viewer.add_image(slow, name="slow", contrast_limits=(0, 1))
    viewer.dims.set_point(0, 3)
    arrived = waiting(desk)
    for column in range(6):
        viewer.cursor.position = (3, 4, column)
        assert desk.look().value == "…"
    slow.allowed.set()
    assert arrived.wait(10)
    assert desk.words.value == str(slow.data[3, 4, 5])
    assert len(slow.asked) <= 2  # the one that was being read, and the newest
    assert layer in viewer.layers


def test_a_value_that_cannot_be_read_says_so(viewer, desk):
    class Broken(Slow):
        def __getitem__(self, key):
            if np.size(self.data[key]) == 1:
                raise OSError("gone")
            return self.data[key]

    viewer.add_image(Broken(np.zeros(SHAPE)), contrast_limits=(0, 1))
    arrived = waiting(desk)
    viewer.cursor.position = (3, 4, 5)
    desk.look()
    assert arrived.wait(10)
    assert desk.words.value == "cannot be read"


def test_a_closed_desk_listens_to_nothing(viewer, desk):
    add(viewer, Volume(RAMP, AFFINE))
    desk.close()
    told = []
    desk.changed = desk.moved = lambda: told.append(True)
    viewer.dims.order = (1, 0, 2)
    viewer.cursor.position = (1, 2, 3)
    viewer.layers[0].contrast_limits = (0, 1)
    viewer.layers.clear()
    assert told == []
    assert viewer.mouse_drag_callbacks == ViewerModel().mouse_drag_callbacks
    desk.close()
