"""The engine runs beside Slicer, never in it: how it is started, reached, and ended."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from EffSegLib.EngineProcess import Address, EngineProcess
from EffSegLib.Engines import EngineChoice, Engines
from EffSegLib.Environment import engine_environment, is_slicers
from EffSegLib.Parameter import PYTHON, SERVER
from EffSegLib.Work import Job, Worker

from napari_effseg.errors import Cancelled, ServerError
from napari_effseg.server import connect
from tests.server.gate import silent_address

from .fakes import FakeSegmenter

SLICER = Path("/opt/Slicer-5.10")
STARTUP = {
    "HOME": "/home/anna",
    "PATH": os.pathsep.join(["/opt/Slicer-5.10/bin", "/usr/bin"]),
    "LD_LIBRARY_PATH": os.pathsep.join(["/opt/Slicer-5.10/lib/Slicer-5.10", "/usr/local/cuda/lib64"]),
    "PYTHONHOME": "/opt/Slicer-5.10/lib/Python",
    "PYTHONPATH": "/opt/Slicer-5.10/lib/Python/site-packages",
    "PYTHONNOUSERSITE": "1",
    "SLICER_HOME": "/opt/Slicer-5.10",
    "QT_PLUGIN_PATH": "/opt/Slicer-5.10/lib/QtPlugins",
    "PIP_TARGET": "/opt/Slicer-5.10/site-packages",
    "HTTPS_PROXY": "http://proxy:3128",
}

# --- the environment ---


def test_nothing_of_slicer_reaches_the_engine():
    found = engine_environment(STARTUP, (SLICER,))
    assert not any("Slicer" in value for value in found.values())
    assert not {"PYTHONHOME", "PYTHONPATH", "SLICER_HOME", "QT_PLUGIN_PATH", "PIP_TARGET"} & set(found)


def test_what_is_the_users_own_does():
    found = engine_environment(STARTUP, (SLICER,))
    assert found["PATH"] == "/usr/bin"
    assert found["LD_LIBRARY_PATH"] == "/usr/local/cuda/lib64"
    assert found["HTTPS_PROXY"] == "http://proxy:3128"


def test_packages_of_the_user_are_kept_out_of_the_private_environment_alone():
    assert engine_environment(STARTUP)["PYTHONNOUSERSITE"] == "1"
    assert "PYTHONNOUSERSITE" not in engine_environment(STARTUP, is_private=False)


def test_a_file_within_slicer_is_slicers():
    assert is_slicers(SLICER / "bin" / "PythonSlicer", (SLICER,))
    assert not is_slicers(Path("/usr/bin/python3"), (SLICER,))


def test_python_starts_where_slicers_variables_would_break_it():
    broken = {**os.environ, "PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere"}
    command = [sys.executable, "-c", "print('starts')"]
    assert subprocess.run(command, env=broken, capture_output=True).returncode != 0
    found = subprocess.run(command, env=engine_environment(broken), capture_output=True, text=True)
    assert found.stdout.strip() == "starts"


# --- the process ---

SERVES = """
import os, sys
assert len(os.environ["EFFSEG_SERVER_KEY"]) >= 32
print("loading", flush=True)
print("listening at http://127.0.0.1:8765", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def engine(tmp_path):
    started = []

    def begin(program, seconds=20):
        (tmp_path / "serve.py").write_text(program)
        environment = engine_environment(os.environ)
        command = [str(tmp_path / "serve.py")]
        started.append(EngineProcess(Path(sys.executable), environment, command, seconds))
        return started[-1]

    yield begin
    for one in started:
        one.stop()


def test_its_address_is_taken_from_what_it_says(engine):
    process = engine(SERVES)
    address = process.start()
    assert address.url == "http://127.0.0.1:8765"
    assert len(address.key) >= 32
    assert process.is_running


def test_every_start_has_another_key(engine):
    process = engine(SERVES)
    assert process.start().key != process.start().key


def test_the_key_is_in_no_argument_and_in_no_log(engine):
    process = engine(SERVES)
    key = process.start().key
    assert key not in " ".join(process._process.args)
    assert key not in "\n".join(process.log)
    assert key not in repr(Address("http://x", key))


def test_stopping_ends_it(engine):
    process = engine(SERVES)
    process.start()
    inner = process._process
    process.stop()
    assert inner.poll() is not None
    assert not process.is_running


def test_an_engine_that_dies_at_once_tells_its_last_words(engine):
    with pytest.raises(ServerError, match="no module of that name"):
        engine("raise SystemExit('no module of that name')").start()


def test_an_engine_that_says_nothing_is_given_up(engine):
    process = engine("import time; time.sleep(60)", seconds=0.3)
    with pytest.raises(ServerError, match=r"did not start within 0\.3 s"):
        process.start()
    assert not process.is_running


def test_starting_can_be_cancelled(engine):
    process = engine("import time; time.sleep(60)")
    with pytest.raises(Cancelled):
        process.start(cancel=lambda: True)
    assert not process.is_running


def test_a_python_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ServerError, match="cannot be started"):
        EngineProcess(tmp_path / "no-python", {}).start()


# --- which engine ---


class FakeProcess:
    def __init__(self, python, is_private):
        self.python, self.is_private, self.is_running = python, is_private, False
        self.starts = 0

    def start(self, say=None, cancel=None):
        self.starts += 1
        self.is_running = True
        return Address("http://127.0.0.1:1", "secret")

    def stop(self):
        self.is_running = False


class House:
    """Engines whose processes and connections are fakes."""

    def __init__(self, private=Path(sys.executable)):
        self.processes, self.reached, self.segmenters = [], [], []
        self.engines = Engines(lambda: private, self.new, self.reach)

    def new(self, python, is_private):
        self.processes.append(FakeProcess(python, is_private))
        return self.processes[-1]

    def reach(self, address):
        self.reached.append(address)
        self.segmenters.append(FakeSegmenter())
        return self.segmenters[-1]


def test_nothing_is_started_before_it_is_needed():
    house = House()
    assert house.engines.missing(EngineChoice()) == ""
    assert house.processes == []


def test_the_private_engine_is_started_once():
    house = House()
    assert house.engines.open(EngineChoice()) is house.engines.open(EngineChoice())
    assert [process.starts for process in house.processes] == [1]
    assert house.processes[0].is_private


def test_an_engine_that_died_is_started_again():
    house = House()
    first = house.engines.open(EngineChoice())
    house.processes[0].is_running = False
    assert house.engines.open(EngineChoice()) is not first
    assert len(house.processes) == 2


def test_another_choice_ends_what_was_started():
    house = House()
    house.engines.open(EngineChoice())
    house.engines.open(EngineChoice(SERVER, url="https://gpu:1", key="k"))
    assert not house.processes[0].is_running
    assert house.segmenters[0].is_closed
    assert house.reached[-1] == Address("https://gpu:1", "k")


def test_the_users_own_python_is_taken():
    house = House()
    house.engines.open(EngineChoice(PYTHON, python=sys.executable))
    assert house.processes[0].python == Path(sys.executable)
    assert not house.processes[0].is_private


def test_slicers_own_python_is_not(monkeypatch):
    monkeypatch.setenv("SLICER_HOME", str(Path(sys.executable).parents[1]))
    assert "Slicer's own Python" in House().engines.missing(EngineChoice(PYTHON, python=sys.executable))


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (EngineChoice(), "Install the engine first"),
        (EngineChoice(PYTHON), "Choose the Python"),
        (EngineChoice(PYTHON, python="/no/such"), "There is no file /no/such"),
        (EngineChoice(SERVER), "address"),
        (EngineChoice(SERVER, url="https://gpu:1"), "key"),
    ],
    ids=lambda one: one.kind if isinstance(one, EngineChoice) else None,
)
def test_what_is_missing_is_said_before_anything_is_tried(choice, words):
    house = House(private=None)
    assert words in house.engines.missing(choice)
    with pytest.raises(ServerError, match=words):
        house.engines.open(choice)
    assert house.reached == []


def test_closing_ends_everything():
    house = House()
    house.engines.open(EngineChoice())
    house.engines.close()
    assert not house.processes[0].is_running
    assert house.segmenters[0].is_closed


def test_a_choice_does_not_show_its_key():
    assert "secret" not in repr(EngineChoice(SERVER, url="https://gpu:1", key="secret"))


def test_connecting_where_nobody_answers_can_be_cancelled():
    begun, ended = threading.Event(), []

    def reach(address):
        begun.set()
        return connect(address.url, address.key, timeout=300)

    worker, engines = Worker(), Engines(lambda: None, reach=reach)
    with silent_address() as url:
        choice = EngineChoice(SERVER, url=url, key="k" * 32)
        job = worker.do(Job(lambda job: engines.open(choice), ended.append, ended.append))
        assert begun.wait(10)
        job.cancel()
        worker.finish()
    worker.close()
    assert isinstance(ended[0], Cancelled)
