"""Automatic segmentation, from nodes to nodes."""

import threading

import numpy as np
import pytest
import slicer
from EffSegLib import Nodes, Segments
from EffSegLib.SegmentationLogic import SegmentationLogic, choices_for, plan_line, warnings_of, words_of
from EffSegLib.Sequences import frames_of, put_sequence
from EffSegLib.Statistics import COLUMNS, rows_of
from EffSegLib.Work import Worker

from napari_effseg import Cancelled, VolumeError

from .fakes import MODELS, NAMES, BrokenSegmenter, FakeSegmenter, bright, model
from .nodes import SHAPE, add_transform, add_volume, affine, grey, moved


def ran(order, segmenter=None, cancel_at=None):
    """Results, errors and progress of an order."""
    worker, results, errors, seen = Worker(), [], [], []

    def progress(fraction, message):
        seen.append((fraction, message))
        if cancel_at is not None and len(seen) == cancel_at:
            worker.cancel()

    engine = segmenter or FakeSegmenter()
    worker.do(SegmentationLogic(lambda: engine).job(order, results.extend, errors.append, progress))
    worker.finish()
    worker.close()
    return results, errors, seen


def add_roi(scene, centre, size, name="R"):
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", name)
    roi.SetCenter(np.asarray(centre, float))
    roi.SetSize(np.asarray(size, float))
    return roi


def add_sequence(scene, volumes):
    """A browser over volumes, and the node that it shows."""
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "cine")
    sequence.SetIndexName("time")
    for at, data in enumerate(volumes):
        frame = add_volume(scene, data=data, name="cine")
        sequence.SetDataNodeAtValue(frame, str(at))
        scene.RemoveNode(frame)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    proxy = browser.GetProxyNode(sequence) or browser.AddProxyNode(None, sequence, False)
    return browser, proxy or browser.GetProxyNode(sequence)


def logic():
    return SegmentationLogic(FakeSegmenter)


# --- which models ---


def test_models_that_fit_come_first_and_the_others_say_why(scene):
    volume = Nodes.volume_of(add_volume(scene))
    choices = choices_for(MODELS, volume, others=0)
    assert [(one.info.name, one.reason) for one in choices] == [
        ("bright", ""),
        ("pictures", "It takes slices and pictures."),
        ("four", "It takes 4 volumes: t1, t1ce, t2, flair."),
    ]


def test_a_model_of_four_images_fits_where_there_are_four(scene):
    volume = Nodes.volume_of(add_volume(scene))
    assert not {one.info.name: one.reason for one in choices_for(MODELS, volume, others=3)}["four"]


def test_a_ct_is_not_given_to_a_model_for_mr(scene):
    node = add_volume(scene)
    node.SetAttribute("DICOM.Modality", "CT")
    choices = choices_for(MODELS, Nodes.volume_of(node), others=0)
    assert {one.info.name: one.reason for one in choices}["bright"] == "It takes MR."


def test_without_a_volume_none_can_be_chosen():
    assert all(one.reason for one in choices_for(MODELS, None, 0))


def test_the_plan_names_structures_size_accuracy_and_licence(scene):
    line = plan_line(MODELS[0], Nodes.volume_of(add_volume(scene)), [((0, 0, 0), (7, 12, 9))], frames=4)
    for part in (
        "anterior, posterior",
        "a region of 50% of 14 x 12 x 9",
        "0.8 x 1.3 x 2.6 mm",
        "4 time points",
    ):
        assert part in line
    assert "Dice 0.9 on 3 cases" in line
    assert "CC-BY-4.0" in line


# --- running ---


def test_a_volume_becomes_a_segmentation(scene):
    node = add_volume(scene)
    order = logic().order(MODELS[0], node)
    (result,), errors, _ = ran(order)
    segmentation, table = logic().deliver(result, order, node)
    assert errors == []
    names = [
        segmentation.GetSegmentation().GetSegment(one).GetName() for one in Segments.segment_ids(segmentation)
    ]
    assert names == list(NAMES.values())
    assert segmentation.GetName() == "case bright"
    assert table.GetNumberOfRows() == 2


def test_progress_is_told_in_the_windows_thread_and_rises(scene):
    threads = set()
    worker = Worker()
    order = logic().order(MODELS[0], add_volume(scene))
    seen = []

    def progress(fraction, message):
        threads.add(threading.current_thread())
        seen.append(fraction)

    worker.do(SegmentationLogic(FakeSegmenter).job(order, lambda _: None, lambda _: None, progress))
    worker.finish()
    worker.close()
    assert threads == {threading.main_thread()}
    assert seen == sorted(seen)
    assert len(seen) == 3


def test_a_cancelled_run_gives_nothing_but_cancelled(scene):
    order = logic().order(MODELS[0], add_volume(scene))
    worker, results, errors = Worker(), [], []
    job = worker.do(logic().job(order, results.extend, errors.append))
    job.cancel()
    worker.finish()
    worker.close()
    assert results == []
    assert [type(error) for error in errors] == [Cancelled]


def test_an_error_of_the_engine_is_told_in_its_words(scene):
    _, errors, _ = ran(logic().order(MODELS[0], add_volume(scene)), BrokenSegmenter())
    assert [words_of(error) for error in errors] == ["the engine says no"]
    assert words_of(KeyError("x")) == "KeyError: 'x'"


def test_the_engine_gets_a_copy_that_nobody_changes(scene):
    node = add_volume(scene)
    order = logic().order(MODELS[0], node)
    slicer.util.arrayFromVolume(node)[...] = 0
    assert np.array_equal(order.volumes[0].data, grey())


def test_warnings_are_shown_once_with_what_the_door_did(scene):
    one, other = add_volume(scene), add_volume(scene, affine(spacing=(1, 1, 2)), name="t2")
    order = logic().order(model(channels=(("t1", ""), ("t2", ""))), one, [other])
    results, _, _ = ran(order)
    found = warnings_of(results * 2, order)
    assert found == ("t2 was resampled to the voxels of case.", "the image is made up")


# --- regions ---


@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_a_region_is_the_voxels_whose_centres_it_holds(scene, tilt):
    matrix = affine(tilt=tilt)
    node = add_volume(scene, matrix)
    roi = add_roi(scene, [0, 0, 0], np.array([4, 5, 3]) * (0.8, 1.3, 2.6))
    placed = np.eye(4)
    placed[:3, :3] = matrix[:3, :3] / (0.8, 1.3, 2.6)
    placed[:3, 3] = matrix[:3, :3] @ [5.5, 4, 5] + matrix[:3, 3]
    roi.SetAndObserveTransformNodeID(add_transform(scene, placed).GetID())
    order = logic().order(MODELS[0], node, regions=[roi])
    assert order.boxes == (((4, 2, 4), (8, 7, 7)),)


def test_region_and_volume_may_lie_under_different_transforms(scene):
    node = add_volume(scene)
    node.SetAndObserveTransformNodeID(add_transform(scene, moved()).GetID())
    roi = add_roi(scene, affine()[:3, :3] @ [5, 4, 5] + affine()[:3, 3], (2.5, 4.0, 8.0))
    roi.SetAndObserveTransformNodeID(add_transform(scene, moved()).GetID())
    assert logic().order(MODELS[0], node, regions=[roi]).boxes == (((4, 3, 4), (7, 6, 7)),)


def test_outside_the_region_nothing_is_labelled(scene):
    node = add_volume(scene)
    roi = add_roi(scene, affine()[:3, :3] @ [3.5, 3.5, 5.5] + affine()[:3, 3], (1.5, 30, 60))
    (result,), _, _ = ran(logic().order(MODELS[0], node, regions=[roi]))
    assert result.labels.data[3:5].any()
    assert not result.labels.data[5:].any()


def test_a_region_beside_the_image_is_refused(scene):
    node = add_volume(scene)
    with pytest.raises(VolumeError, match="beside the image"):
        logic().order(MODELS[0], node, regions=[add_roi(scene, (900, 0, 0), (5, 5, 5))])


def test_a_region_without_extent_is_refused(scene):
    empty = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "empty")
    with pytest.raises(VolumeError, match="empty is empty"):
        logic().order(MODELS[0], add_volume(scene), regions=[empty])


# --- time ---


def test_every_time_point_is_segmented_and_goes_along_with_its_volume(scene):
    series = [grey(), np.roll(grey(), 3, axis=0), np.zeros_like(grey())]
    browser, proxy = add_sequence(scene, series)
    order = logic().order(MODELS[0], proxy, frames=frames_of(proxy))
    results, _, seen = ran(order)
    assert len(results) == 3
    assert seen[0][1].startswith("Time point 1 of 3")
    shown = put_sequence([one.labels for one in results], proxy, "cine segmentation")
    for at, data in enumerate(series):
        browser.SetSelectedItemNumber(at)
        found = [Segments.mask_of(shown, one, proxy).sum() for one in Segments.segment_ids(shown)]
        assert sum(found) == (data > 100).sum()


def over_time(scene, series, **options):
    _, proxy = add_sequence(scene, series)
    order = logic().order(MODELS[0], proxy, frames=frames_of(proxy))
    results, _, _ = ran(order)
    return logic().deliver_over_time(results, order, proxy, **options)


def column(table, title):
    found = table.GetTable().GetColumnByName(title)
    return [found.GetValue(at) for at in range(found.GetNumberOfValues())]


def test_one_table_has_the_volumes_at_all_time_points(scene):
    series = [grey(), np.roll(grey(), 3, axis=0), np.zeros_like(grey())]
    _, table = over_time(scene, series)
    assert column(table, "Time point") == [1, 1, 2, 2, 3, 3]
    assert column(table, "time [s]") == [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]
    sizes = np.reshape(column(table, "Voxels"), (3, 2)).sum(axis=1)
    assert list(sizes) == [(data > 100).sum() for data in series]
    assert column(table, "Name")[:2] == column(table, "Name")[2:4]


def test_without_a_wish_for_it_there_is_no_table_over_time(scene):
    assert over_time(scene, [grey(), grey()], with_table=False)[1] is None
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0


def test_the_report_of_a_time_point_stays_with_it(scene):
    node, _ = over_time(scene, [grey(), grey()])
    frames = scene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode").GetSequenceNode(node)
    for at in range(2):
        assert '"licence": "CC-BY-4.0"' in frames.GetNthDataNode(at).GetAttribute("EffSeg.Report")


def test_a_volume_of_its_own_has_no_time_points(scene):
    assert frames_of(add_volume(scene)) == ()


# --- numbers ---


def test_the_table_has_volumes_in_mm_and_intensities(scene):
    node = add_volume(scene)
    volume = Nodes.volume_of(node)
    one, two = rows_of(bright(volume), volume)
    inside = grey() > 200
    assert two.voxels == inside.sum()
    assert two.volume_mm3 == pytest.approx(inside.sum() * 0.8 * 1.3 * 2.6)
    assert (two.mean, two.minimum, two.maximum) == (250, 250, 250)
    assert one.name == "anterior"


def test_a_structure_that_was_not_found_has_a_row(scene):
    node = add_volume(scene, data=np.zeros(SHAPE, np.int16))
    volume = Nodes.volume_of(node)
    order = logic().order(MODELS[0], node)
    (result,), _, _ = ran(order)
    _, table = logic().deliver(result, order, node)
    assert [row.voxels for row in rows_of(bright(volume), volume)] == [0, 0]
    assert table.GetNumberOfRows() == 2
    assert table.GetNumberOfColumns() == len(COLUMNS)


def test_without_a_wish_for_it_there_is_no_table(scene):
    node = add_volume(scene)
    order = logic().order(MODELS[0], node)
    (result,), _, _ = ran(order)
    assert logic().deliver(result, order, node, with_table=False)[1] is None
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0


def test_the_report_stays_with_the_segmentation(scene):
    node = add_volume(scene)
    order = logic().order(MODELS[0], node)
    (result,), _, _ = ran(order)
    segmentation, _ = logic().deliver(result, order, node)
    assert '"licence": "CC-BY-4.0"' in segmentation.GetAttribute("EffSeg.Report")
