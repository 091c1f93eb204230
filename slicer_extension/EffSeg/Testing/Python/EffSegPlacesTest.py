"""Self test for a full Slicer: labels come back as segments at the same place; needs no engine."""

import unittest

import numpy as np
import slicer


class EffSegPlacesTest(unittest.TestCase):
    """Volumes, segments and points of a real application."""

    def setUp(self):
        """Begin with an empty scene and a tilted volume."""
        slicer.mrmlScene.Clear()
        self.affine = np.array([[0, 0.2, 2.4, 5], [-0.9, 0.1, 0.3, -7], [0.1, 1.1, -0.3, 9], [0, 0, 0, 1.0]])
        data = np.zeros((9, 12, 14), np.int16)
        data[4:7, 3:6, 2:8] = 200
        self.volume = slicer.util.addVolumeFromArray(data, ijkToRAS=self.affine, name="case")

    def test_labels_become_segments_of_the_same_voxels(self):
        """There and back."""
        from EffSegLib import Nodes, Segments
        from EffSegLib.rooms import LabelMap

        image = Nodes.volume_of(self.volume)
        labels = LabelMap((image.data > 100).astype(np.uint8), image.affine, {1: "thing"}, {1: (9, 99, 199)})
        segmentation = Segments.new_segmentation(self.volume, "result")
        ids = Segments.put_labels(labels, self.volume, segmentation)
        self.assertTrue(np.array_equal(Segments.mask_of(segmentation, ids[1], self.volume), labels.data > 0))

    def test_a_point_is_the_voxel_that_it_lies_in(self):
        """From RAS to voxels."""
        from EffSegLib.Marks import point_at

        ras = self.affine[:3, :3] @ [5, 4, 6] + self.affine[:3, 3]
        self.assertEqual(point_at(ras, self.volume, True, 2).index, (5, 4, 6))


if __name__ == "__main__":
    unittest.main()
