"""A structure followed through time: anchors, corrections, undo across time points, and files."""

import zipfile

import numpy as np
import pytest

import napari_effseg as eff
from napari_effseg import Cancelled, ImageReadError, Point, PromptError, Volume, VolumeError, sessions
from napari_effseg.engine.session.local import LocalSession
from napari_effseg.engine.session.over_time import over_time
from napari_effseg.session_time_file import read_time_session

from .fake import FakeBody

SHAPE = (24, 22, 3)
FRAMES = 5


def beating(frame, shape=SHAPE):
    """A bright disk that grows and moves."""
    i, j, _ = np.meshgrid(*map(np.arange, shape), indexing="ij")
    return ((i - 9 - 0.7 * frame) ** 2 + (j - 11) ** 2 < (3.2 + 0.2 * frame) ** 2).astype(np.float32)


def volumes(shape=SHAPE, count=FRAMES):
    return [Volume(beating(frame, shape), np.diag([1.0, 1.0, 4.0, 1.0])) for frame in range(count)]


def opened(shape=SHAPE):
    body = FakeBody()
    return over_time([LocalSession(one, body) for one in volumes(shape)], body)


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize("shape", [SHAPE, (24, 22, 1)], ids=["volumes", "pictures"])
def test_an_object_is_carried_to_all_time_points(shape):
    session = opened(shape)
    session.frame = 2
    for index in range(shape[2]):
        session.add(Point((10, 11, index)))
    session.propagate("time")
    for frame, mask in enumerate(session.masks):
        assert dice(mask, beating(frame, shape) > 0.5) > 0.8


def test_one_undo_takes_all_of_it_back_and_redo_brings_it_again():
    session = opened()
    session.add(Point((9, 11, 1)))
    session.propagate()
    after = [mask.copy() for mask in session.masks]
    assert session.undo_words == "propagate"
    assert session.undo() == "propagate"
    assert [bool(mask.any()) for mask in session.masks] == [True] + [False] * 4
    assert session.redo() == "propagate"
    assert all((one == other).all() for one, other in zip(session.masks, after, strict=True))
    session.undo()
    assert session.undo() == "point"
    assert not any(mask.any() for mask in session.masks)


def test_a_corrected_time_point_stays_and_the_others_follow():
    session = opened()
    session.add(Point((9, 11, 1)))
    session.propagate()
    session.frame = 4
    session.add(Point((13, 11, 1)))
    session.add(Point((13, 14, 1), positive=False))
    kept = session.mask.copy()
    before = session.masks[3].copy()
    session.propagate()
    assert (session.masks[4] == kept).all()
    assert (session.masks[3] != before).any()


def test_finishing_finishes_everywhere_and_locks():
    session = opened()
    session.add(Point((9, 11, 1)))
    session.propagate()
    masks = [mask.copy() for mask in session.masks]
    assert session.commit(name="ventricle") == 1
    assert all((labels.data == mask).all() for labels, mask in zip(session.all_labels, masks, strict=True))
    assert {labels.names[1] for labels in session.all_labels} == {"ventricle"}
    assert session.undo() == "finish ventricle"
    assert all((one == other).all() for one, other in zip(session.masks, masks, strict=True))


def test_cancelling_changes_nothing():
    session = opened()
    session.add(Point((9, 11, 1)))
    with pytest.raises(Cancelled):
        session.propagate(cancel=lambda: True)
    assert [bool(mask.any()) for mask in session.masks] == [True] + [False] * 4
    assert session.undo_words == "point"


def test_what_makes_no_sense_is_refused():
    session = opened()
    with pytest.raises(PromptError, match="no time point"):
        session.propagate("time")
    with pytest.raises(PromptError, match="expected 0, 1, 2"):
        session.propagate("tome")
    with pytest.raises(PromptError, match="5, numbered from 0"):
        session.frame = 5
    with pytest.raises(VolumeError, match="share one grid"):
        over_time([LocalSession(one, FakeBody()) for one in (*volumes(), *volumes((24, 22, 1)))], FakeBody())


@pytest.fixture
def fakes(monkeypatch):
    monkeypatch.setattr(sessions, "slice_body", lambda card, device: FakeBody())


def test_it_goes_on_tomorrow(fakes, tmp_path):
    with eff.open_session(volumes()) as session:
        session.frame = 1
        session.add(Point((10, 11, 1)))
        session.propagate("time")
        session.save(tmp_path / "beat.effseg")
        with eff.resume(tmp_path / "beat.effseg", volumes()) as again:
            assert all((one == other).all() for one, other in zip(session.masks, again.masks, strict=True))
            assert again.undo() == session.undo() == "propagate"
            assert again.frame != 1
            assert again.undo() == "point"
            assert again.frame == 1


def test_what_was_undone_can_be_brought_back_in_a_session_that_goes_on(fakes, tmp_path):
    with eff.open_session(volumes()) as session:
        session.frame = 1
        session.add(Point((10, 11, 1)))
        session.propagate("time")
        session.commit(np.int64(3), "heart", np.array([1, 2, 3]))
        for _ in range(3):
            session.undo()
        session.save(tmp_path / "beat.effseg")
        with eff.resume(tmp_path / "beat.effseg", volumes()) as again:
            for words in ("point", "propagate", "finish heart", ""):
                assert again.redo_words == words
                assert again.redo() == session.redo() == words
                assert all(
                    (one == other).all() for one, other in zip(session.masks, again.masks, strict=True)
                )
            assert again.labels.names == {3: "heart"}


def test_a_session_of_other_images_or_a_damaged_one_is_refused(fakes, tmp_path):
    path = tmp_path / "beat.effseg"
    with eff.open_session(volumes()) as session:
        session.save(path)
    with pytest.raises(PromptError, match="5 time points; 4 images"):
        eff.resume(path, volumes()[:4])
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ImageReadError, match="damaged"):
        read_time_session(path)
    with eff.open_session(volumes()[0]) as session:
        session.save(tmp_path / "one.effseg")
    with pytest.raises(ImageReadError, match="no session over time"):
        eff.resume(tmp_path / "one.effseg", volumes())


def test_a_file_that_unpacks_to_more_than_it_holds_is_refused(tmp_path):
    path = tmp_path / "bomb.effseg"
    document = '{"format": "effseg session over time", "version": "1.0", "frames": 1, "done": []}'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("time.json", document)
        file.writestr("frames/0.effseg", bytes(10_000_000))
    with pytest.raises(ImageReadError, match="claims 10000000 bytes"):
        read_time_session(path)
