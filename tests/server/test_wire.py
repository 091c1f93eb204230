"""Messages come back as they were sent; whatever else comes is refused before it costs anything."""

import json
import subprocess
import sys
import tracemalloc
import zlib
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_effseg import LabelMap, Volume, VolumeError
from napari_effseg.server.payloads import (
    Patch,
    labels_message,
    labels_of,
    model_json,
    model_of,
    patches_message,
    patches_of,
    volume_message,
    volume_of,
)
from napari_effseg.server.reader import MessageReader, decode
from napari_effseg.server.wire import Limits, Malformed, Message, TooLarge, encode

from .engines import MODELS

LIMITS = Limits(header=2**14, arrays=4, bytes=2**16, side=2**12)
DTYPES = ["bool", "uint8", "int16", ">i2", "uint32", "int64", "float16", "float32", ">f8"]
ARRAYS = hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(max_dims=4, max_side=6, min_side=0))


def whole(header, arrays=(), compress=True):
    return b"".join(encode(header, arrays, compress=compress))


def same(one, other):
    return (
        one.shape == other.shape and one.dtype.name == other.dtype.name and one.tobytes() == other.tobytes()
    )


def layout(array):
    return sorted(range(array.ndim), key=lambda axis: -array.strides[axis])


@given(st.lists(ARRAYS, max_size=4), st.booleans(), st.integers(1, 50))
def test_arrays_come_back_however_the_bytes_are_cut(arrays, compress, step):
    content, reader = whole({"x": [1, "é", None]}, arrays, compress), MessageReader(LIMITS)
    for at in range(0, len(content), step):
        reader.feed(content[at : at + step])
    message = reader.finish()
    assert message.header == {"x": [1, "é", None]}
    native = [array.astype(array.dtype.newbyteorder("=")) for array in arrays]
    assert all(same(one, other) for one, other in zip(message.arrays, native, strict=True))


@given(hnp.arrays("int16", (3, 4, 5, 2)), st.permutations(range(4)), st.booleans())
def test_arrays_lie_in_memory_as_they_did(array, axes, compress):
    turned = np.ascontiguousarray(array).transpose(axes)
    (found,) = decode(whole({}, [turned], compress)).arrays
    assert (found == turned).all()
    assert layout(found) == layout(turned)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(content):
    with pytest.raises(Malformed):
        decode(content, LIMITS)


@given(st.lists(ARRAYS, max_size=2), st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_damage_is_refused_or_harmless(arrays, place, junk):
    content = bytearray(whole({"x": 1}, arrays))
    content[place % len(content) : place % len(content) + len(junk)] = junk
    with suppress(Malformed):
        decode(bytes(content), LIMITS)


@given(st.lists(ARRAYS, min_size=1, max_size=2), st.data())
def test_a_message_that_ends_too_early_is_refused(arrays, data):
    content = whole({}, arrays)
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(Malformed):
        decode(content[:cut], LIMITS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
DESCRIBED = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["uint8", "float32", "object", "O", "S8", "V8"]) | JSON,
        "shape": st.lists(st.integers(-3, 2**70), max_size=6) | JSON,
        "axes": st.lists(st.integers(-1, 4), max_size=5) | JSON,
        "encoding": st.sampled_from(["raw", "zlib", "pickle"]) | JSON,
        "bytes": st.integers(-5, 2**70) | JSON,
    },
)


@given(st.lists(DESCRIBED, max_size=6) | JSON, st.binary(max_size=30))
def test_whatever_a_header_claims_nothing_large_is_allocated(arrays, body):
    text = json.dumps({"arrays": arrays}).encode()
    content = b"EFS1" + len(text).to_bytes(4, "little") + text + body
    tracemalloc.start()
    try:
        decode(content, Limits(header=2**14))
    except Malformed:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2**20


def described(body, **about):
    text = json.dumps(
        {"arrays": [{"dtype": "uint8", "encoding": "zlib", "bytes": len(body), **about}]}
    ).encode()
    return b"EFS1" + len(text).to_bytes(4, "little") + text + body


def test_a_bomb_stops_where_it_says_it_ends():
    bomb = zlib.compress(bytes(2**24))
    with pytest.raises(Malformed, match="more than"):
        decode(described(bomb, shape=[4096]), LIMITS)
    with pytest.raises(TooLarge, match="at most"):
        decode(described(bomb, shape=[4096, 4096]), LIMITS)


def test_what_its_bytes_cannot_unpack_to_is_refused_before_it_is_allocated():
    with pytest.raises(Malformed, match="cannot come of"):
        decode(described(b"x" * 20, shape=[150, 200]), LIMITS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dtype": "object"}, "do not travel"),
        ({"dtype": "float128"}, "do not travel"),
        ({"shape": [-4]}, "whole number"),
        ({"shape": []}, "axes was announced"),
        ({"shape": [2.0]}, "whole number"),
        ({"shape": [True]}, "whole number"),
        ({"axes": [1]}, "whole number"),
        ({"encoding": "pickle"}, "encoding"),
        ({"bytes": 10**30}, "whole number"),
    ],
)
def test_odd_descriptions_are_refused_in_words(change, words):
    content = described(zlib.compress(b"1234"), **{"shape": [4], **change})
    with pytest.raises(Malformed, match=words):
        decode(content, LIMITS)


def test_a_giant_header_is_refused_at_its_announcement():
    reader = MessageReader(LIMITS)
    with pytest.raises(TooLarge, match="header"):
        reader.feed(b"EFS1\xff\xff\xff\x7f")


def test_nan_is_no_number_that_travels():
    text = b'{"x": NaN}'
    with pytest.raises(Malformed, match="NaN"):
        decode(b"EFS1" + len(text).to_bytes(4, "little") + text)
    with pytest.raises(ValueError, match="JSON compliant"):
        encode({"x": float("nan")})


def test_booleans_are_0_and_1():
    content = bytearray(whole({}, [np.array([True, False])], compress=False))
    content[-1] = 7
    with pytest.raises(Malformed, match="booleans"):
        decode(bytes(content))


def test_an_array_of_objects_cannot_be_sent():
    with pytest.raises(VolumeError, match="cannot be sent"):
        encode({}, [np.array([object()])])


def test_a_volume_comes_back():
    data = np.random.default_rng(0).random((2, 5, 6, 7)).astype(np.float32)
    affine = np.array([[0.1, -1.5, 0, 1 / 3], [0.8, 0, 0.1, -7], [0, 0.2, -3, 11], [0, 0, 0, 1.0]])
    volume = Volume(data, affine, channel_names=("t1", "t2"), modality="MR", window=(0.1, 3.0))
    found = volume_of(decode(whole(*volume_message(volume))))
    assert (found.data == data).all()
    assert (found.affine == affine).all()
    assert (found.channel_names, found.modality, found.window) == (("t1", "t2"), "MR", (0.1, 3.0))


AFFINES = st.lists(st.lists(st.floats(-1e9, 1e9) | st.integers(), max_size=5), max_size=5) | JSON


@given(AFFINES, JSON, JSON, JSON)
def test_a_volume_that_is_none_is_refused(affine, names, modality, window):
    about = {"affine": affine, "channel_names": names, "modality": modality, "window": window}
    with suppress(Malformed, VolumeError):
        volume_of(Message({"volume": about}, (np.zeros((2, 2, 2)),)))


def test_labels_come_back(volume):
    from .engines import MODELS

    codes = {label.id: label.code for label in MODELS[0].labels}
    labels = LabelMap(
        np.eye(4, dtype=np.uint16)[None] * 300, volume.affine, {300: "é"}, {1: (1, 2, 3)}, codes
    )
    found = labels_of(decode(whole(*labels_message(labels))))
    assert same(found.data, labels.data)
    assert (found.names, found.colours, found.codes) == (labels.names, labels.colours, labels.codes)


SHAPE = (5, 4, 3)


@given(st.lists(hnp.arrays(bool, SHAPE), max_size=4), st.data())
def test_boxes_come_back(masks, data):
    patches = []
    for mask in masks:
        low = tuple(data.draw(st.integers(0, side - 1)) for side in SHAPE)
        high = tuple(data.draw(st.integers(a + 1, side)) for a, side in zip(low, SHAPE, strict=True))
        there = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        patches.append(Patch((low, high), mask[there]))
    found = patches_of(decode(whole(*patches_message(patches))), SHAPE)
    assert [patch.box for patch in found] == [patch.box for patch in patches]
    assert all((a.inside == b.inside).all() for a, b in zip(found, patches, strict=True))


@given(JSON, st.integers(0, 9))
def test_boxes_that_are_none_are_refused(boxes, size):
    with suppress(Malformed):
        patches_of(Message({"boxes": boxes}, (np.zeros(size, np.uint8),)), SHAPE)


@pytest.mark.parametrize("module", ["wire", "client", "remote", "mirror", "transport", "payloads", "faults"])
def test_a_client_needs_numpy_alone(module):
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; import napari_effseg.server.{module}; print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    ours = {name.partition(".")[0] for name in run.stdout.split()} - set(sys.stdlib_module_names)
    assert {name for name in ours if not name.startswith("_")} == {"napari_effseg", "numpy"}


@pytest.mark.parametrize("spacing", [None, (0.5, 0.5, 2.0)])
def test_a_model_comes_back_as_it_was(spacing):
    model = replace(MODELS[0], spacing=spacing)
    assert model_of(json.loads(json.dumps(model_json(model)))) == model


def test_a_model_of_an_older_server_tells_no_spacing():
    entry = model_json(replace(MODELS[0], spacing=(1.0, 1.0, 1.0)))
    del entry["spacing"]
    assert model_of(entry).spacing is None
