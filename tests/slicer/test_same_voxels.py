"""The engine, its command, a server, and Slicer through a server: one result, voxel by voxel and in mm."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import vtk
from EffSegLib import Nodes, Segments
from EffSegLib.EngineProcess import EngineProcess
from EffSegLib.Engines import EngineChoice, Engines
from EffSegLib.Environment import engine_environment
from EffSegLib.PromptLogic import PromptLogic
from EffSegLib.SegmentationLogic import SegmentationLogic
from EffSegLib.SessionStore import stored_sessions
from EffSegLib.Work import Worker

import napari_effseg as eff
from napari_effseg.cli import main
from napari_effseg.samples import find_sample, write_sample
from napari_effseg.volume import reorient

from .conftest import EXTENSION, HERE
from .nodes import add_transform, add_volume, moved

sys.path.insert(0, str(EXTENSION))
import vendor

pytestmark = pytest.mark.xdist_group("slicer engine")
MODEL = "hippocampus-lightm-unet"
CLICK = (18, 25, 12)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    path = tmp_path_factory.mktemp("sample") / "hippocampus.nii.gz"
    write_sample(find_sample("hippocampus"), path)
    return path


@pytest.fixture(scope="module")
def direct(sample):
    """What the engine gives when it is called from Python."""
    return eff.segment(eff.load(sample), model=MODEL).labels


class RememberedProcess(EngineProcess):
    """One whose address is known to the tests."""

    def __init__(self, python, is_private):
        super().__init__(python, engine_environment(os.environ, is_private=is_private))

    def start(self, say=None, cancel=None):
        self.address = super().start(say, cancel)
        return self.address


@pytest.fixture(scope="module")
def engines():
    """A real `effseg serve` beside this process, started as Slicer starts it."""

    found = Engines(lambda: Path(sys.executable), RememberedProcess)
    yield found
    found.close()


@pytest.fixture
def engine(engines):
    return lambda: engines.open(EngineChoice())


@pytest.fixture
def loaded(scene, logics, sample):
    """The sample as Slicer's own reader loads it."""
    return logics["vtkSlicerVolumesLogic"].AddArchetypeVolume(str(sample), "hippocampus")


def segmented(node, engine):
    """Segment a node through the server, as the window does."""
    logic, worker, results = SegmentationLogic(engine), Worker(), []
    info = next(one for one in engine().models() if one.name == MODEL)
    order = logic.order(info, node)
    worker.do(logic.job(order, results.extend, _raise))
    worker.finish(300)
    worker.close()
    return logic.deliver(results[0], order, node)[0]


def _raise(error):
    raise error


def labels_of(segmentation, node):
    """Segments as numbers, by the label that the model gave them."""
    found = np.zeros(Nodes.volume_of(node).shape, np.uint8)
    for one in Segments.segment_ids(segmentation):
        label = vtk.reference("")
        segmentation.GetSegmentation().GetSegment(one).GetTag(Segments.LABEL_TAG, label)
        found[Segments.mask_of(segmentation, one, node)] = int(str(label))
    return found


def test_slicer_and_the_package_read_the_same_image(loaded, sample):
    mine, theirs = eff.load(sample), Nodes.volume_of(loaded)
    assert np.array_equal(mine.data, theirs.data)
    assert np.abs(mine.affine - theirs.affine).max() < 1e-4


def test_slicer_through_a_server_gives_what_the_engine_gives(loaded, engine, direct):
    assert np.array_equal(labels_of(segmented(loaded, engine), loaded), direct.data)


def test_the_command_gives_what_the_engine_gives(sample, direct, tmp_path):
    output = tmp_path / "out.nii.gz"
    assert main(["segment", str(sample), "-m", MODEL, "-o", str(output), "--quiet"]) == 0
    assert np.array_equal(eff.load_labels(output).data, direct.data)


def test_what_slicer_saves_is_read_by_the_package_at_the_same_place_with_names_and_codes(
    loaded, scene, engine, direct, tmp_path
):
    segmentation = segmented(loaded, engine)
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(tmp_path / "out.seg.nrrd"))
    assert storage.WriteData(segmentation)
    read = eff.load_labels(tmp_path / "out.seg.nrrd")
    assert {read.names[label] for label in read.counts()} == {
        direct.names[label] for label in direct.counts()
    }
    for label, name in direct.names.items():
        other = next(one for one, known in read.names.items() if known == name)
        assert read.codes[other] == direct.codes[label]
        mine, theirs = places(direct, label), places(read, other)
        assert len(mine) == len(theirs)
        assert np.abs(mine - theirs).max() < 1e-3


def places(labels, label):
    """Voxel centres of a label in mm, in order."""
    ras = np.argwhere(labels.data == label) @ labels.affine[:3, :3].T + labels.affine[:3, 3]
    return ras[np.lexsort(np.round(ras, 2).T)]


def test_a_scene_that_is_saved_and_loaded_has_the_same_voxels(loaded, scene, engine, direct, tmp_path):
    segmented(loaded, engine).SetName("result")
    path = str(tmp_path / "scene.mrb")
    assert scene.WriteToMRB(path)
    scene.Clear(1)
    assert scene.ReadFromMRB(path, True)
    volume = scene.GetFirstNodeByName("hippocampus")
    assert np.array_equal(labels_of(scene.GetFirstNodeByName("result"), volume), direct.data)


@pytest.mark.parametrize("axcodes", ["PIR", "LSA"])
def test_another_orientation_under_a_transform_gives_what_the_engine_gives_for_it(
    scene, sample, engine, axcodes
):
    given = eff.load(sample)
    turned = reorient(given, axcodes)
    node = add_volume(scene, np.linalg.inv(moved(0.1)) @ turned.affine, np.asarray(turned.data))
    node.SetAndObserveTransformNodeID(add_transform(scene, moved(0.1)).GetID())
    seen = Nodes.volume_of(node)
    expected = eff.segment(seen, model=MODEL).labels
    assert expected.data.any()
    assert np.array_equal(labels_of(segmented(node, engine), node), expected.data)


@pytest.fixture
def clicking(engine, loaded):
    """A click session in Slicer, its worker, and what it said."""
    worker, heard = Worker(), []
    logic = PromptLogic(worker, heard.append, lambda: None)
    logic.open(engine, loaded)
    worker.finish(120)
    yield logic, worker, heard
    logic.close()
    worker.finish(60)
    worker.close()


def clicked(logic, worker, node):
    volume = Nodes.volume_of(node)
    logic.points.nodes[True].AddControlPointWorld(*volume.affine[:3, :3] @ CLICK + volume.affine[:3, 3])
    worker.finish(120)


def mask_in_python(volume, axis):
    with eff.open_session(volume) as session:
        session.add(eff.Point(CLICK, axis=axis), shown=axis)
        return session.mask.copy()


def test_a_click_in_slicer_gives_what_it_gives_in_python(clicking, loaded):
    logic, worker, heard = clicking
    clicked(logic, worker, loaded)
    expected = mask_in_python(Nodes.volume_of(loaded), logic.axis())
    assert heard == []
    assert expected.any()
    assert np.array_equal(Segments.mask_of(logic.segmentation, logic.current, loaded), expected)


def test_a_session_on_a_server_goes_on_after_the_scene_was_saved_and_loaded(
    clicking, loaded, scene, engine, tmp_path
):
    logic, worker, heard = clicking
    clicked(logic, worker, loaded)
    mask = logic.shown.mask
    logic.store()
    path = str(tmp_path / "scene.mrb")
    assert scene.WriteToMRB(path)
    logic.close()
    scene.Clear(1)
    assert scene.ReadFromMRB(path, True)
    (stored,) = stored_sessions(scene)
    logic.resume(engine, stored)
    worker.finish(120)
    assert heard == []
    assert mask.any()
    assert np.array_equal(logic.shown.mask, mask)
    assert logic.shown.undo_words == "point"


AS_IN_SLICER = """
import sys
sys.path[:0] = {paths!r}
import vtk
from headless_slicer import make_scene
vtk.vtkObject.GlobalWarningDisplayOff()
scene, logics = make_scene()
from EffSegLib import Nodes, Segments
from EffSegLib.Engines import EngineChoice, Engines
from EffSegLib.PromptLogic import PromptLogic
from EffSegLib.SegmentationLogic import SegmentationLogic
from EffSegLib.Work import Worker
engines = Engines(lambda: None)
engine = lambda: engines.open(EngineChoice("server", url={url!r}, key={key!r}))
node = logics["vtkSlicerVolumesLogic"].AddArchetypeVolume({image!r}, "case")
worker, wrong = Worker(), []
logic = SegmentationLogic(engine)
info = next(one for one in engine().models() if one.name == {model!r})
order = logic.order(info, node)
worker.do(logic.job(order, lambda results: logic.deliver(results[0], order, node), wrong.append))
worker.finish(300)
found = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
for one in Segments.segment_ids(found):
    print(Segments.mask_of(found, one, node).sum())
clicks = PromptLogic(worker, wrong.append, lambda: None)
clicks.open(engine, node)
worker.finish(120)
volume = Nodes.volume_of(node)
clicks.points.nodes[True].AddControlPointWorld(*volume.affine[:3, :3] @ {click!r} + volume.affine[:3, 3])
worker.finish(120)
print(clicks.shown.mask.sum())
clicks.close()
worker.finish(60)
engines.close()
known = {{name.partition(".")[0] for name in sys.modules}}
print(wrong, sorted(known & {{"torch", "napari_effseg", "nibabel", "SimpleITK"}}))
"""


def test_the_extension_as_it_is_handed_out_needs_no_package_and_gives_the_same(
    engines, engine, sample, direct, loaded, clicking, tmp_path
):
    """The complete copy in a process of its own, which knows nothing of the package, as in Slicer."""
    engine()
    folder = tmp_path / "EffSeg"
    assert vendor.main([str(folder)]) == 0
    address = engines._process.address
    program = AS_IN_SLICER.format(
        paths=[str(folder / "EffSeg"), str(HERE / "standins")],
        url=address.url,
        key=address.key,
        image=str(sample),
        model=MODEL,
        click=list(CLICK),
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *counts, clicked_voxels, wrong = done.stdout.splitlines()
    assert [int(one) for one in counts] == list(direct.counts().values())
    logic, worker, _ = clicking
    clicked(logic, worker, loaded)
    assert int(clicked_voxels) == logic.shown.mask.sum()
    assert wrong == "[] []"
