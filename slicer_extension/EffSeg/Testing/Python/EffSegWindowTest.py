"""Self test for a full Slicer: the window opens, and says what to do; needs no engine."""

import unittest

import slicer


class EffSegWindowTest(unittest.TestCase):
    """The module's window in a real application."""

    def test_the_module_opens_and_starts_nothing(self):
        """What is missing is said; Apply cannot be pressed before."""
        if slicer.app.testingEnabled() and slicer.util.mainWindow() is None:
            self.skipTest("there is no main window")
        slicer.util.selectModule("EffSeg")
        ui = slicer.modules.EffSegWidget.ui
        self.assertFalse(ui.applyButton.enabled)
        self.assertTrue(ui.planLabel.text)

    def test_every_prompt_waits_for_a_session(self):
        """Buttons that cannot be pressed say why."""
        slicer.util.selectModule("EffSeg")
        ui = slicer.modules.EffSegWidget.ui
        self.assertFalse(ui.positiveButton.enabled)
        self.assertEqual(ui.positiveButton.toolTip, "Begin a session first.")


if __name__ == "__main__":
    unittest.main()
