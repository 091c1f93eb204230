"""The effect *EffSeg*: left click, the segment; with Ctrl, not the segment. A thin shell.

Not yet run in a full Slicer; what it calls, `EffSegLib.EffectLogic`, is tested over Slicer's libraries.
"""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
import vtk
from EffSegLib.EffectLogic import EffectLogic
from EffSegLib.Marks import axis_across
from EffSegLib.Nodes import matrix_of
from EffSegLib.rooms import EffsegError
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from slicer.i18n import tr as _

HERE = Path(__file__).resolve().parent


class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect):
    """Clicks on the selected segment."""

    def __init__(self, scriptedEffect):
        scriptedEffect.name = "EffSeg"
        scriptedEffect.title = _("EffSeg clicks")
        scriptedEffect.perSegment = True
        scriptedEffect.requireSegments = True
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        self._logic = None
        self._axis = 2

    def clone(self):
        """Return another one, for another editor."""
        import qSlicerSegmentationsEditorEffectsPythonQt as effects

        cloned = effects.qSlicerSegmentEditorScriptedEffect(None)
        cloned.setPythonSource(Path(__file__).as_posix())
        return cloned

    def icon(self):
        """Return the icon of the button."""
        return qt.QIcon(str(HERE / "SegmentEditorEffect.png"))

    def helpText(self):
        """Return what the editor shows as help."""
        return _(
            "<html>Segment an object by clicks.<ul><li><b>Left click:</b> it belongs to the segment.</li>"
            "<li><b>Ctrl + left click:</b> it does not.</li><li><b>Propagate</b> carries it on through the "
            "slices of the view that was clicked in last.</li></ul>Masking and overlap are as the editor is "
            "set. The engine is chosen in the module EffSeg.</html>"
        )

    def setupOptionsFrame(self):
        """Build the options."""
        self._message = qt.QLabel()
        self._message.wordWrap = True
        for text, tip, action in (
            ("Undo click", "Take the last click back", lambda *_: self._click_logic().undo()),
            ("Propagate", "Carry the object on", lambda *_: self._click_logic().propagate(self._axis)),
        ):
            button = qt.QPushButton(_(text))
            button.setToolTip(_(tip))
            button.connect("clicked()", action)
            self.scriptedEffect.addOptionsWidget(button)
        self.scriptedEffect.addOptionsWidget(self._message)

    def deactivate(self):
        """End the session."""
        if self._logic is not None:
            self._logic.end()

    def processInteractionEvents(self, callerInteractor, eventId, viewWidget):
        """Take clicks in slice views; return whether an event was used."""
        is_slice = viewWidget.className() == "qMRMLSliceWidget"
        if not is_slice or eventId != vtk.vtkCommand.LeftButtonPressEvent or callerInteractor.GetShiftKey():
            return False
        if not self.scriptedEffect.confirmCurrentSegmentVisible():
            return True
        ras = self.xyToRas(callerInteractor.GetEventPosition(), viewWidget)
        self._click(ras, not callerInteractor.GetControlKey(), self.scriptedEffect.viewNode(viewWidget))
        return True

    def _click(self, ras, positive, view):
        editor = self.scriptedEffect.parameterSetNode()
        volume, segmentation = editor.GetSourceVolumeNode(), editor.GetSegmentationNode()
        self._message.setText("")
        try:
            self._axis = axis_across(matrix_of(view.GetSliceToRAS())[:3, 2], volume)
            self._click_logic().click(
                ras, positive, self._axis, volume, segmentation, editor.GetSelectedSegmentID()
            )
        except EffsegError as error:
            self._message.setText(str(error))

    def _click_logic(self):
        """Return the logic, over the engine of the module EffSeg, whose timer listens to it."""
        if self._logic is None:
            desk = slicer.util.getModuleWidget("EffSeg").widget.desk
            self._logic = EffectLogic(desk.worker, desk.segmenter, self._apply, self._message.setText)
        return self._logic

    def _apply(self, image):
        self.scriptedEffect.saveStateForUndo()
        mode = slicer.qSlicerSegmentEditorAbstractEffect.ModificationModeSet
        self.scriptedEffect.modifySelectedSegmentByLabelmap(image, mode)
