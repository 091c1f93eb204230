"""The effect of Segment Editor; see `SegmentEditorEffect`."""
