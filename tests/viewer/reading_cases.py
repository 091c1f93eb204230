"""Volumes and viewers for the tests of what a reader of images expects."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from napari_effseg.types import Affine
from napari_effseg.viewer.layers import image_layers
from napari_effseg.viewer.reading_view import camera_of, can_turn_pictures
from napari_effseg.volume import Volume, transform_points

SHAPE = (7, 9, 11)
SPACING = (1.5, 2.0, 3.5)
ORIENTATIONS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
"""All 48 ways in which three array axes can run along the patient's: order and signs."""


def affine_of(order: tuple[int, ...], signs: tuple[int, ...], tilt_degrees: float = 0.0) -> Affine:
    """Affine of one of the orientations, tilted about the patient's x axis; its centre near the world's.

    A little only: napari draws slices of a tilted volume as if all else were at the world's origin, and a
    volume far from there would be out of its sliders' reach.
    """
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, axis] = sign * SPACING[axis]
    turn = np.eye(4)
    angle = np.deg2rad(tilt_degrees)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine = turn @ affine
    affine[:3, 3] = (0.5, -0.7, 0.9) - affine[:3, :3] @ (np.array(SHAPE) // 2)
    return affine


def coordinates(affine: Affine, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """(3, I, J, K): the place of every voxel, RAS mm."""
    indices = np.moveaxis(np.indices(shape), 0, -1)
    return np.moveaxis(transform_points(affine, indices), -1, 0)


def add(viewer: Any, volume: Volume, name: str = "scan", **keywords: Any) -> Any:
    """Show a volume as the plugin's reader does; returns its (first) layer."""
    from napari.layers import Layer

    triples = image_layers(volume, name, **keywords)
    layers = [viewer.add_layer(Layer.create(*triple)) for triple in triples]
    return layers[0]


def drawn(layer: Any) -> np.ndarray:
    """Array that napari draws of a layer in a viewer of two dimensions: rows down, columns across."""
    return np.asarray(layer._slice.image.raw)


def camera_words(viewer: Any) -> tuple[str, ...]:
    """Where the displayed axes grow to on the screen."""
    if not can_turn_pictures(viewer):
        return ("away", "down", "right")
    return tuple(str(word) for word in camera_of(viewer).orientation)


def needs_turning(viewer: Any) -> None:
    """Skip a test of what only napari 0.6 and newer can do."""
    if not can_turn_pictures(viewer):
        pytest.skip("napari below 0.6 cannot turn pictures")
