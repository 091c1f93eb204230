"""What the module EffSeg does: geometry, nodes, engines, segmentation, clicks; its window is `Widget`.

Importing this package loads neither torch nor Qt, and nothing that Slicer does not ship.
"""
