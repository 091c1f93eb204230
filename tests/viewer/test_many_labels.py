"""Hundreds of numbered objects in the panel."""

import numpy as np
import pytest

from napari_effseg.engine.objects import object_colour
from napari_effseg.viewer.label_table import LabelTable
from napari_effseg.viewer.measure import measure_labels
from napari_effseg.viewer.to_layer import labels_layer
from napari_effseg.volume import LabelMap

COUNT = 500


@pytest.fixture
def nuclei():
    data = np.zeros((64, 96, 1), np.uint16)
    spots = [(i, j) for i in range(0, 62, 2) for j in range(0, 94, 2)]
    for number, (i, j) in enumerate(spots[:COUNT], start=1):
        data[i, j] = number
    numbers = range(1, COUNT + 1)
    names = {number: f"nucleus {number}" for number in numbers}
    return LabelMap(data, np.eye(4), names, {number: object_colour(number) for number in numbers})


def test_each_object_is_measured_where_it_lies(nuclei):
    rows = measure_labels(nuclei)
    assert len(rows) == COUNT
    assert all(nuclei.data[tuple(np.round(row.place_ras).astype(int))] == row.label for row in rows)


def test_the_layer_shows_every_object_in_its_colour(nuclei):
    from napari.layers import Labels

    data, keywords, _ = labels_layer(nuclei)
    layer = Labels(data, **keywords)
    for number in (1, 255, 256, COUNT):
        assert np.round(255 * layer.get_color(number)[:3]).astype(int).tolist() == list(object_colour(number))


def test_the_table_lists_every_object_and_counts_them(qapp, viewer_model, inference, nuclei):
    from napari_effseg.viewer.label_table_widget import LabelTableWidget

    data, keywords, _ = labels_layer(nuclei)
    layer = viewer_model.add_labels(data, **keywords)
    table = LabelTable(viewer_model, inference)
    widget = LabelTableWidget(table)
    table.show(layer, measure_labels(nuclei), "")
    assert widget.lines.rowCount() == COUNT
    assert widget.title.text().startswith("500 labels in")
    widget.close_model()
    table.close()
