"""The napari plugin. Only this room knows napari and Qt; what it computes, the engine computes.

`layers` turns Volumes and LabelMaps into layers and back; `state` is a plain model that knows no Qt;
`inference` is the one thread that computes; widgets wire the three together.
"""
