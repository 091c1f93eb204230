"""`effseg serve` as a process of its own."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra [server]")

import napari_effseg as eff
from napari_effseg.cli import main

EFFSEG = [sys.executable, "-c", "import sys; from napari_effseg.cli import main; sys.exit(main())"]


def started(tmp_path, *arguments, **environment):
    """Start a server, and return the process and its first lines."""
    run = subprocess.Popen(
        [*EFFSEG, "serve", "--device", "cpu", *arguments],
        env={**os.environ, "EFFSEG_CONFIG": str(tmp_path), "OMP_NUM_THREADS": "1", **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return run, run.stdout.readline().split()[-1]


def ended(run, how):
    how(run)
    out, err = run.communicate(timeout=30)
    return run.returncode, out, err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM")
def test_a_key_is_made_printed_once_and_works(tmp_path):
    run, url = started(tmp_path, "--audit-log", str(tmp_path / "audit.jsonl"))
    key = run.stdout.readline().removeprefix("key: ").strip()
    with eff.connect(url, key) as client:
        assert "hippocampus-lightm-unet" in [model.name for model in client.models()]
    code, out, err = ended(run, lambda run: run.send_signal(signal.SIGTERM))
    assert (code, out) == (0, "")
    assert "stopped" in err
    assert (tmp_path / "server.key").stat().st_mode & 0o077 == 0
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert ["GET", "/v1/capabilities", 200, "user"] in [
        [line[name] for name in ("method", "route", "status", "user")] for line in lines
    ]
    run, url = started(tmp_path)
    code, out, err = ended(run, lambda run: run.send_signal(signal.SIGINT))
    assert (code, out) == (0, "")
    assert key not in err


def test_a_server_ends_with_who_started_it(tmp_path):
    run, url = started(tmp_path, "--until-eof", EFFSEG_SERVER_KEY="a key of the parent's own")
    with eff.connect(url, "a key of the parent's own") as client:
        assert client.device.startswith("cpu")
    code, _, _ = ended(run, lambda run: run.stdin.close() or setattr(run, "stdin", None))
    assert code == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM")
def test_with_a_keys_file_nothing_is_said_of_a_key_that_there_is_not(tmp_path):
    keys = tmp_path / "keys.txt"
    keys.write_text("anna   annas-own-key-123\n")
    run, url = started(tmp_path, "--keys-file", str(keys))
    eff.connect(url, "annas-own-key-123").close()
    _, _, err = ended(run, lambda run: run.send_signal(signal.SIGTERM))
    assert f"those in {keys}" in err
    assert "--show-key" not in err
    assert "annas-own-key" not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "--tls-cert"),
        (["--host", "192.0.2.1"], "--tls-cert"),
        (["--tls-cert", "nowhere.pem"], "both"),
        (["--tls-cert", "nowhere.pem", "--tls-key", "nowhere.pem"], "no such file"),
        (["--keys-file", "nowhere.txt"], "cannot be read"),
        (["--device", "abacus"], "no device"),
        (["--host", "nowhere.invalid", "--insecure"], "cannot listen"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("EFFSEG_CONFIG", str(tmp_path))
    assert main(["serve", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert len(err.splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_key_that_others_can_read_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("EFFSEG_CONFIG", str(tmp_path))
    (tmp_path / "server.key").write_text("a key that is long enough\n")
    (tmp_path / "server.key").chmod(0o644)
    assert main(["serve"]) == 2
    assert "chmod 600" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said(capsys, tmp_path, monkeypatch):
    import socket

    monkeypatch.setenv("EFFSEG_CONFIG", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 2
    assert "choose another --port" in capsys.readouterr().err


def test_segmenting_there_is_segmenting_here_and_a_server_that_is_killed_costs_no_prompts(tmp_path):
    """The shipped models, on a packaged case, by way of a server and without one."""
    sample = tmp_path / "scan.nii.gz"
    assert main(["sample", "hippocampus", str(sample), "--quiet"]) == 0
    volume = eff.load(sample)
    run, url = started(tmp_path, "--show-key")
    key = run.stdout.readline().removeprefix("key: ").strip()
    with eff.connect(url, key, timeout=0.5) as client:
        there = client.segment(volume, "hippocampus-lightm-unet")
        session = client.open_session(volume)
        session.add(eff.Point((15, 25, 18), axis=2))
        session.propagate(2)
        clicked = session.mask.copy()
        ended(run, lambda run: run.kill())
        with pytest.raises(eff.ServerLost, match="prompts and masks are still here"):
            session.add(eff.Point((16, 25, 18), axis=2))
        with pytest.raises(eff.ServerError):
            client.segment(volume, "hippocampus-lightm-unet")
        assert (session.mask == clicked).all()
        session.save(tmp_path / "case.effseg")
    with eff.resume(tmp_path / "case.effseg", volume, device="cpu") as again:
        assert (again.mask == clicked).all()
        assert list(again.prompts) == [1]
    here = _single_threaded(sample, tmp_path)
    assert (there.labels.data == here["labels"]).all()
    assert (there.doubt == here["doubt"]).all()
    assert (clicked == here["clicked"]).all()


def _single_threaded(sample, tmp_path):
    """Run the same here, in an interpreter with as many threads."""
    code = f"""
import numpy as np, napari_effseg as eff
volume = eff.load({str(sample)!r})
found = eff.segment(volume, "hippocampus-lightm-unet", "cpu")
with eff.open_session(volume, device="cpu") as session:
    session.add(eff.Point((15, 25, 18), axis=2))
    session.propagate(2)
    arrays = dict(labels=found.labels.data, doubt=found.doubt, clicked=session.mask)
np.savez({str(tmp_path / "here.npz")!r}, **arrays)
"""
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    return np.load(tmp_path / "here.npz")
