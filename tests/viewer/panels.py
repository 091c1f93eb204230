"""What several tests do with the panel *Automatic segmentation*, with and without its window."""

from napari.layers import Layer

from napari_effseg.viewer import layers

TIMEOUT = 120_000
PLUGIN, PANEL = "napari-effseg", "Automatic segmentation"


def add(viewer, volume, name="scan", **keywords):
    """Add an image as it is read; returns its last layer."""
    triples = layers.image_layers(volume, name, **keywords)
    return [viewer.add_layer(Layer.create(*triple)) for triple in triples][-1]


def settle(desk, panel):
    """Wait until models and plan are known."""
    desk.until(lambda: not panel.store.now.is_checking, "models and plan")


def finish(desk, panel):
    """Wait for the end of a run."""
    desk.until(lambda: panel.store.now.is_idle, "the end of the run")
