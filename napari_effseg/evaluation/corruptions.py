"""The same case, worse: what a model loses when an image is noisy, blurred, unevenly lit or coarse.

==================  ========================================  ==============  =============
corruption          does                                      ``mild``        ``strong``
==================  ========================================  ==============  =============
``noise``           adds Gaussian noise, in shares of the     0.05            0.15
                    range between the 1st and 99th percentile
``blur``            Gaussian blur, standard deviation in      1               2
                    voxels of the finest axis
``bias-field``      multiplies by a smooth field between      0.7 to 1.4      0.4 to 2.5
                    these factors
``low-resolution``  averages blocks of voxels along the       2               4
                    coarsest axis (pictures: both), and
                    interpolates between them
==================  ========================================  ==============  =============

Each draws its numbers from the case's name and the seed alone. Labels stay where they are.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, nearest_names
from ..volume import Volume

__all__ = ["corrupt", "corruption_names"]

_Channel = NDArray[np.float32]
_LEVELS = ("mild", "strong")
_AXIS_POLYNOMIAL = 2  # degree of the bias field along each axis


def corruption_names() -> tuple[str, ...]:
    """Return the names that `corrupt` knows: "none", then each corruption, "-mild" and "-strong"."""
    return ("none", *(f"{name}-{level}" for name in _CORRUPTIONS for level in _LEVELS))


def corrupt(volume: Volume, name: str, case: str, seed: int = 0) -> Volume:
    """Make a case worse; the same name, case and seed make the same.

    Parameters
    ----------
    volume : Volume
        Integer voxels come back as float32, unless the name is "none".
    name : str
        One of `corruption_names()`.
    case : str
        The case's name: each case draws its own numbers.
    seed : int

    Raises
    ------
    ConfigError
        If the name is unknown.
    """
    if name not in corruption_names():
        known = corruption_names()
        raise ConfigError(
            f"no corruption is called {name!r}.{nearest_names(name, known)} Known: {', '.join(known)}"
        )
    if name == "none":
        return volume
    kind, _, level = name.rpartition("-")
    random = np.random.default_rng((seed, zlib.crc32(f"{name} {case}".encode())))
    change, strengths = _CORRUPTIONS[kind]
    strength = strengths[_LEVELS.index(level)]
    channels = np.asarray(volume.data, np.float32).reshape(-1, *volume.shape)
    state = random.bit_generator.state
    found = []
    for channel in channels:
        if kind == "bias-field":  # one coil lights all channels alike
            random.bit_generator.state = state
        found.append(change(channel, strength, volume.spacing, random))
    return replace(volume, data=np.stack(found).reshape(volume.data.shape))


def _noise(
    channel: _Channel, strength: float, spacing: Sequence[float], random: np.random.Generator
) -> _Channel:
    finite = channel[np.isfinite(channel)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (0.0, 0.0)
    drawn = random.standard_normal(channel.shape, np.float32)
    return channel + np.float32(strength * (high - low)) * drawn


def _blur(
    channel: _Channel, strength: float, spacing: Sequence[float], random: np.random.Generator
) -> _Channel:
    from scipy.ndimage import gaussian_filter

    thick = [side > 1 for side in channel.shape]
    finest = min(mm for mm, counts in zip(spacing, thick, strict=True) if counts or not any(thick))
    sigmas = [strength * finest / mm if counts else 0.0 for mm, counts in zip(spacing, thick, strict=True)]
    blurred: _Channel = gaussian_filter(channel, sigmas, mode="nearest")
    return blurred


def _bias_field(
    channel: _Channel, strength: float, spacing: Sequence[float], random: np.random.Generator
) -> _Channel:
    field = np.zeros((), np.float64)
    for axis, side in enumerate(channel.shape):
        along = np.polynomial.Polynomial(random.normal(size=_AXIS_POLYNOMIAL + 1))(np.linspace(-1, 1, side))
        field = field[..., None] + along if axis else along
    field -= field.mean()
    field /= max(np.abs(field).max(), np.finfo(float).tiny)
    lowest = float(np.nanmin(channel))
    lit: _Channel = (lowest + (channel - lowest) * np.exp(np.log(strength) * field)).astype(np.float32)
    return lit


def _low_resolution(
    channel: _Channel, strength: float, spacing: Sequence[float], random: np.random.Generator
) -> _Channel:
    from scipy.ndimage import uniform_filter1d, zoom

    thick = [axis for axis, side in enumerate(channel.shape) if side > 1]
    picture = len(thick) < channel.ndim
    axes = thick if picture else [max(thick, key=lambda axis: (spacing[axis], axis))]
    for axis in axes:
        block, side = int(strength), channel.shape[axis]
        means = uniform_filter1d(channel, block, axis=axis, mode="nearest")
        starts = np.arange(block // 2, side, block)
        factors = [1.0] * channel.ndim
        factors[axis] = side / len(starts)
        channel = np.asarray(
            zoom(means.take(starts, axis), factors, order=1, mode="nearest", grid_mode=True), np.float32
        )
    return channel


_Change = Callable[[_Channel, float, Sequence[float], np.random.Generator], _Channel]
_CORRUPTIONS: dict[str, tuple[_Change, tuple[float, float]]] = {
    "noise": (_noise, (0.05, 0.15)),
    "blur": (_blur, (1.0, 2.0)),
    "bias-field": (_bias_field, (1.4, 2.5)),
    "low-resolution": (_low_resolution, (2, 4)),
}
