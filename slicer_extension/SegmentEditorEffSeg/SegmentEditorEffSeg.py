"""Registers the effect *EffSeg* in Segment Editor; a hidden module.

Not yet run in a full Slicer; what it calls, `EffSegLib.EffectLogic`, is tested over Slicer's libraries.
"""

from __future__ import annotations

from pathlib import Path

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

EFFECT = Path(__file__).resolve().parent / "SegmentEditorEffSegLib" / "SegmentEditorEffect.py"


class SegmentEditorEffSeg(ScriptedLoadableModule):
    """What Slicer shows of the module: nothing."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "SegmentEditorEffSeg"
        parent.categories = ["Segmentation"]
        parent.dependencies = ["Segmentations", "EffSeg"]
        parent.contributors = ["The napari-effseg developers"]
        parent.hidden = True
        parent.helpText = "Registers the effect EffSeg of Segment Editor."
        parent.acknowledgementText = "Licence: Apache-2.0."
        slicer.app.connect("startupCompleted()", register_effect)


def register_effect():
    """Make the effect known to Segment Editor."""
    import qSlicerSegmentationsEditorEffectsPythonQt as effects

    instance = effects.qSlicerSegmentEditorScriptedEffect(None)
    instance.setPythonSource(EFFECT.as_posix())
    instance.self().register()
