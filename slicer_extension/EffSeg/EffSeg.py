"""EffSeg in 3D Slicer: automatic segmentation, and segmentation by clicks. A shell around `EffSegLib`.

Nothing that is heavy is imported when the module is loaded; the networks run in another process.
"""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

HERE = Path(__file__).resolve().parent
SAMPLE = HERE / "Resources" / "Data" / "hippocampus.nii.gz"
SAMPLE_SHA256 = "6c6ba3bd6ad63b3a7adb42075819dcda534f885457aa8e0ee45bd644e0d0ccfb"


class EffSeg(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "EffSeg"
        parent.categories = ["Segmentation"]
        parent.dependencies = []
        parent.contributors = ["The napari-effseg developers"]
        parent.helpText = _(
            "Efficient segmentation of medical images: automatic, with a model that fits the volume, and by "
            "clicks. The networks run beside Slicer, in an environment of their own or on a server, and "
            "change none of Slicer's packages. For research; not a medical device."
        )
        parent.acknowledgementText = _(
            "Licence: Apache-2.0. Weights have licences of their own, which are shown."
        )
        slicer.app.connect("startupCompleted()", register_sample)


def register_sample():
    """Offer the sample case in the module Sample Data; it travels with the extension."""
    if not SAMPLE.is_file():  # in a checkout
        return
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="EffSeg",
        sampleName="EffSegHippocampus",
        thumbnailFileName=str(HERE / "Resources" / "Icons" / "EffSeg.png"),
        uris=SAMPLE.as_uri(),
        fileNames=SAMPLE.name,
        checksums=f"SHA256:{SAMPLE_SHA256}",
        nodeNames="hippocampus",
    )


class EffSegWidget(ScriptedLoadableModuleWidget):
    """The window; what it does is in `EffSegLib.Widget`."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        self.widget = None

    def setup(self):
        """Build the window."""
        ScriptedLoadableModuleWidget.setup(self)
        from EffSegLib.Widget import Widget

        shown = slicer.util.loadUI(self.resourcePath("UI/EffSeg.ui"))
        self.layout.addWidget(shown)
        self.ui = slicer.util.childWidgetVariables(shown)
        shown.setMRMLScene(slicer.mrmlScene)
        self.logic = EffSegLogic()
        self.widget = Widget(self.ui, self.logic.desk())
        slicer.app.connect("aboutToQuit()", self.cleanup)

    def enter(self):
        """Look what the engine has."""
        self.widget.enter()

    def cleanup(self):
        """Stop what was started, the engine too."""
        if self.widget is not None:
            self.widget.close()
        self.widget = None


class EffSegLogic(ScriptedLoadableModuleLogic):
    """Where choices are kept, and where the private environment is."""

    def folder(self):
        """Return the folder of the private environment: among the user's settings, beside Slicer's own."""
        return Path(slicer.app.slicerUserSettingsFilePath).parent / "EffSeg" / "engine"

    def desk(self):
        """Return what the sections of the window share."""
        from EffSegLib.Desk import Desk, private_install

        return Desk(slicer.mrmlScene, self.getParameterNode, private_install(self.folder()))


class EffSegTest(ScriptedLoadableModuleTest):
    """Self tests, for the button *Reload and Test* of a full Slicer; they need no engine."""

    def setUp(self):
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Run all of Testing/Python."""
        self.setUp()
        tests = str(HERE / "Testing" / "Python")
        if tests not in sys.path:
            sys.path.append(tests)
        suite = unittest.defaultTestLoader.discover(tests, pattern="EffSeg*Test.py")
        result = unittest.TextTestRunner(verbosity=2).run(suite)
        if not result.wasSuccessful():
            self.fail("a test failed; see the Python console")
