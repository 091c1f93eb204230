"""The calls of MONAI Label's own client, in its own shapes."""

import email
import gzip
import http.client
import importlib.util
import io
import json
import re
import warnings
from pathlib import Path
from urllib.parse import quote_plus, urlencode, urlsplit

import nibabel as nib
import numpy as np
import pytest

import napari_effseg as eff
from napari_effseg.server.uploads import volume_from
from napari_effseg.server.wire import TooLarge

from .conftest import KEYS

LIMIT = "----------lImIt_of_THE_fIle_eW_$"


class TheirClient:
    """Makes the requests of `MONAILabelClient`, as version 0.8.5 makes them."""

    def __init__(self, url):
        self._place = urlsplit(url)
        self.headers = {}

    def ask(self, method, selector, body=None, content_type=None):
        connection = http.client.HTTPConnection(self._place.hostname, self._place.port, timeout=60)
        headers = dict(self.headers)
        if body:
            headers |= {"content-type": content_type, "content-length": str(len(body))}
        connection.request(method, selector, body, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, response.headers, content

    def log_in(self, password=KEYS["anna"]):
        assert json.loads(self.ask("GET", "/auth/")[2])["enabled"] is True
        data = urlencode({"username": "anybody", "password": password, "grant_type": "password"})
        status, _, content = self.ask("POST", "/auth/token", data, "application/x-www-form-urlencoded")
        if status == 200:
            found = json.loads(content)
            self.headers["Authorization"] = f"{found['token_type']} {found['access_token']}"
        return status

    def multipart(self, method, selector, fields, files):
        lines = []
        for key, value in fields.items():
            lines += [f"--{LIMIT}", f'Content-Disposition: form-data; name="{key}"', "", value]
        for key, path in files.items():
            lines += [
                f"--{LIMIT}",
                f'Content-Disposition: form-data; name="{key}"; filename="{path}"',
                "Content-Type: application/octet-stream",
                "",
                Path(path).read_bytes(),
            ]
        lines += [f"--{LIMIT}--", ""]
        body = b"".join((x if isinstance(x, bytes) else x.encode()) + b"\r\n" for x in lines)
        return self.ask(method, selector, bytes(body), f"multipart/form-data; boundary={LIMIT}")

    def create_session(self, path):
        status, _, content = self.multipart("PUT", "/session/", {"client_id": "user-xyz"}, {"files": path})
        assert status == 200, content
        return json.loads(content)["session_id"]

    def infer(self, model, image="", params=None, session_id=None, file=None):
        selector = f"/infer/{quote_plus(model)}?image={quote_plus(image)}"
        if session_id:
            selector += f"&session_id={quote_plus(session_id)}"
        given = {
            "result_extension": ".nrrd",
            "result_dtype": "uint8",
            "client_id": "user-xyz",
            **(params or {}),
        }
        files = {"file": file} if file else {}
        status, headers, content = self.multipart("POST", selector, {"params": json.dumps(given)}, files)
        if status != 200:
            return status, json.loads(content)
        return _parts(headers, content)


def _parts(headers, content):
    """Take an answer apart; returns the file's name, its bytes, and the parameters."""
    message = email.message_from_bytes(f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + content)
    params, image = message.get_payload()
    return image.get_filename(), image.get_payload(decode=True), json.loads(params.get_payload(decode=True))


@pytest.fixture
def theirs(server):
    client = TheirClient(server.url)
    assert client.log_in() == 200
    return client


@pytest.fixture
def scan(volume, tmp_path):
    return eff.save(volume, tmp_path / "Doe_John.nii.gz")


def labels_in(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    return eff.load_labels(path)


def test_the_servers_key_is_the_password(server):
    client = TheirClient(server.url)
    assert client.log_in("wrong") == 401
    assert client.ask("GET", "/info/")[0] == 401
    assert client.log_in() == 200
    assert client.ask("GET", "/auth/token/valid")[0] == 200


def test_models_are_told_in_their_words(theirs):
    info = json.loads(theirs.ask("GET", "/info/")[2])
    assert info["models"]["bright"]["type"] == "segmentation"
    assert info["models"]["bright"]["labels"] == {"bright": 1}
    assert info["models"]["clicks"]["type"] == "deepgrow"
    assert info["models"]["clicks"]["dimension"] == 2
    assert info["labels"] == ["bright"]
    for name in ("name", "description", "version", "trainers", "strategies", "scoring", "train_stats"):
        assert name in info
    assert all(model["description"] for model in info["models"].values())


@pytest.mark.parametrize("extension", [".nrrd", ".nii.gz"])
def test_a_session_is_segmented(theirs, scan, volume, client, tmp_path, extension):
    session = theirs.create_session(scan)
    assert theirs.ask("GET", f"/session/{session}")[0] == 200
    name, content, params = theirs.infer("bright", "Doe", {"result_extension": extension}, session)
    assert name.endswith(extension)
    assert params["label_names"] == {"bright": 1}
    found = labels_in(name, content, tmp_path)
    expected = client.segment(volume, "bright").labels
    assert found.data.dtype == np.uint8
    assert (found.data == expected.data).all()
    assert np.allclose(found.affine, volume.affine, atol=1e-4)
    assert theirs.ask("DELETE", f"/session/{session}")[0] == 200
    assert theirs.infer("bright", session_id=session)[0] == 404


def test_clicks_in_a_slice_are_answered(theirs, scan, volume, client, tmp_path):
    session = theirs.create_session(scan)
    params = {"label": "tail", "foreground": [[5, 5, 2], [7, 6, 2]], "background": [[9, 9, 2]], "slice": 2}
    name, content, told = theirs.infer("clicks", "Doe", params, session)
    found = labels_in(name, content, tmp_path)
    with client.open_session(volume) as ours:
        for index, positive in (((5, 5, 2), True), ((7, 6, 2), True), ((9, 9, 2), False)):
            ours.add(eff.Point(index, positive, axis=2))
        assert (found.data == ours.mask).all()
    assert told["label_names"] == {"tail": 1}


def test_a_box_in_a_slice_is_answered(theirs, scan, volume, client, tmp_path):
    session = theirs.create_session(scan)
    name, content, _ = theirs.infer("clicks", "Doe", {"roi": [9, 2, -3, 8, 2, 3], "slice": 2}, session)
    with client.open_session(volume) as ours:
        ours.add(eff.Box((2, 0, 2), (9, 8, 3)))
        assert (labels_in(name, content, tmp_path).data == ours.mask).all()


def test_images_are_kept_by_name_for_their_user(server, theirs, scan, volume, tmp_path):
    status, _, content = theirs.multipart("PUT", "/datastore/?image=case+7", {"params": "{}"}, {"file": scan})
    assert (status, json.loads(content)) == (200, {"image": "case 7"})
    assert "case 7" in json.loads(theirs.ask("GET", "/datastore/?output=all")[2])["objects"]
    assert json.loads(theirs.ask("GET", "/datastore/")[2])["total"] >= 1
    _, content, _ = theirs.infer("bright", "case 7")
    assert content
    status, _, content = theirs.ask("GET", "/datastore/image?image=case+7")
    (tmp_path / "back.nii.gz").write_bytes(content)
    assert (eff.load(tmp_path / "back.nii.gz").data == volume.data).all()
    other = TheirClient(server.url)
    other.log_in(KEYS["bert"])
    assert other.infer("bright", "case 7")[0] == 404
    assert "case 7" not in json.loads(other.ask("GET", "/datastore/?output=all")[2])["objects"]
    theirs.ask("DELETE", "/datastore/?id=case+7")
    assert theirs.infer("bright", "case 7")[0] == 404


def test_an_image_may_come_with_the_request(theirs, scan, volume, client, tmp_path):
    name, content, _ = theirs.infer("bright", file=scan)
    assert (labels_in(name, content, tmp_path).data == client.segment(volume, "bright").labels.data).all()


@pytest.mark.parametrize("path", ["/train/?check_if_running=true", "/activelearning/random", "/logs/"])
def test_what_we_have_not_is_refused(theirs, path):
    assert theirs.ask("GET", path)[0] == 404


def packed(shape=(4, 4, 4), slope=1.0, behind=0):
    """A ``.nii.gz`` of zeros, with further ones behind its voxels; both in pieces, each packed for itself."""
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(np.uint8)
    header["magic"], header["vox_offset"] = b"n+1\0", 352
    header["scl_slope"], header["scl_inter"] = slope, 0
    header.set_sform(np.eye(4), 1)
    zeros = int(np.prod(shape)) + behind
    piece = gzip.compress(bytes(2**20), mtime=0)
    first = gzip.compress(header.binaryblock + bytes(4 + zeros % 2**20), mtime=0)
    return first + piece * (zeros // 2**20)


def test_what_follows_after_the_voxels_is_not_unpacked(monkeypatch):
    """A megabyte may unpack to a gigabyte, and a small image takes no time for it."""
    seen, read = [], gzip.GzipFile.read
    monkeypatch.setattr(
        gzip.GzipFile, "read", lambda file, size=-1: seen.append(read(file, size)) or seen[-1]
    )
    with pytest.raises(eff.ImageReadError, match="follow after the voxels"):
        volume_from(io.BytesIO(packed(behind=40 * 2**20)), "a.nii.gz", 2**30)
    assert sum(map(len, seen)) < 4 * 2**20
    assert volume_from(io.BytesIO(packed(behind=2**16)), "a.nii.gz", 2**30).shape == (4, 4, 4)


def test_voxels_that_grow_when_they_are_scaled_are_refused_before(monkeypatch):
    assert volume_from(io.BytesIO(packed((128, 128, 128))), "a.nii.gz", 2**22).shape == (128, 128, 128)
    monkeypatch.setattr("napari_effseg.io.load", None)
    with pytest.raises(TooLarge, match="8388608 bytes"):
        volume_from(io.BytesIO(packed((128, 128, 128), slope=2.0)), "a.nii.gz", 2**22)


DETACHED = b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 4 4\nencoding: raw\ndata file: /etc/passwd\n\n"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.nii.gz", b"", "damaged|no NIfTI"),
        ("a.nii.gz", gzip.compress(bytes(400), mtime=0), "no NIfTI"),
        ("a.nii", b"\x5c\x01" + bytes(342) + b"ni1\0", "no NIfTI"),
        ("a.nii", DETACHED, "no NIfTI"),
        ("a.nrrd", DETACHED, "another file"),
        (
            "a.nrrd",
            DETACHED.replace(b"data file: /etc/passwd", b"Data File: ../secret"),
            "another file|promises",
        ),
        ("a.nrrd", b"NRRD0004\n", "lacks"),
        ("a.mhd", b"ElementDataFile = /etc/passwd", "are taken"),
        ("../../a.py", b"import os", "are taken"),
        ("a.pkl", b"\x80\x04.", "are taken"),
    ],
)
def test_files_that_are_none_or_name_others_are_refused(theirs, tmp_path, name, content, words):
    path = tmp_path / "up" / "down" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.resolve().write_bytes(content)
    status, _, answer = theirs.multipart("PUT", "/session/", {}, {"files": path})
    message = json.loads(answer)["error"]["message"]
    assert status == 422
    assert re.search(words, message)
    assert "passwd" not in message
    assert "/tmp" not in message


@pytest.mark.parametrize(
    "params",
    [
        {"foreground": [[1, 2]]},
        {"foreground": "x"},
        {"foreground": [["a", 1, 2]]},
        {"foreground": [[10**20, 1, 2]]},
        {"foreground": [[99, 1, 2]]},
        {"roi": [1, 2, 3]},
        {"roi": [0, 5, 0, 5, 0, 1], "slice": -4},
        {"foreground": [[1, 1, 1]] * 2000},
        {"result_extension": ".pkl"},
        {},
    ],
)
def test_clicks_that_are_none_are_refused(theirs, scan, params):
    session = theirs.create_session(scan)
    status, about = theirs.infer("clicks", "x", params, session)
    assert 400 <= status < 500
    assert about["error"]["message"]


def test_forms_that_are_none_are_refused(theirs):
    for body, kind in [
        (b"x", f"multipart/form-data; boundary={LIMIT}"),
        (b"x", "multipart/form-data"),
        (b"--a\r\n\r\n", "multipart/form-data; boundary=a"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
    ]:
        for method, path in [("PUT", "/session/"), ("POST", "/infer/bright"), ("PUT", "/datastore/?image=a")]:
            status, headers, _ = theirs.ask(method, path, body, kind)
            assert 400 <= status < 500
            assert headers["Content-Type"] == "application/json"


def test_their_own_client_works(server, scan, volume, client, tmp_path):
    """Where MONAI Label is installed; its client is one file that needs `requests` alone."""
    package = importlib.util.find_spec("monailabel")
    if package is None or not package.submodule_search_locations:
        pytest.skip("needs MONAI Label's client (pip install --no-deps monailabel)")
    file = Path(package.submodule_search_locations[0]) / "client" / "client.py"
    spec = importlib.util.spec_from_file_location("their_client", file)
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it leaves files open, and imports cgi
        spec.loader.exec_module(module)
        theirs = module.MONAILabelClient(server.url, str(tmp_path), "user-xyz")
        assert theirs.auth_enabled()
        theirs.update_auth(theirs.auth_token("anybody", KEYS["anna"]))
        assert theirs.auth_valid_token()
        assert "bright" in theirs.info()["models"]
        session = theirs.create_session(str(scan))["session_id"]
        params = {"result_extension": ".nrrd", "result_dtype": "uint8"}
        path, told = theirs.infer("bright", "Doe", params, session_id=session)
    assert (eff.load_labels(path).data == client.segment(volume, "bright").labels.data).all()
    assert told["label_names"] == {"bright": 1}
