import pytest
import torch

from napari_effseg.engine.device import available_devices, peak_memory_bytes, resolve_device
from napari_effseg.errors import DeviceError, EffsegError


def test_the_cpu_says_its_memory_and_threads():
    found = resolve_device("cpu")
    assert (found.name, found.kind) == ("cpu", "cpu")
    assert found.free_bytes == found.host_free_bytes > 0
    assert found.process_bytes > 0
    assert found.threads == torch.get_num_threads()


def test_auto_is_the_cpu_where_there_is_no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto").name == "cpu"


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "CUDA:3"])
def test_a_cuda_device_that_is_not_there_is_an_error_and_never_the_cpu(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="was asked for") as caught:
        resolve_device(name)
    assert isinstance(caught.value, EffsegError)


def test_mps_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="Apple"):
        resolve_device("mps")


@pytest.mark.parametrize(("name", "nearest"), [("gpu", ""), ("cud", "cuda"), ("cuda:x", "cuda"), ("", "")])
def test_an_unknown_device_is_refused_with_the_nearest_name(name, nearest):
    with pytest.raises(DeviceError, match=f"there is no device {name!r}.*{nearest}"):
        resolve_device(name)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_auto_is_the_first_cuda_device():
    assert resolve_device("auto").name == "cuda:0"


def test_peak_memory_is_at_least_what_the_process_holds():
    found = resolve_device("cpu")
    assert peak_memory_bytes(found) >= found.process_bytes * 0.9


def test_the_first_available_device_is_the_one_that_auto_means():
    found = available_devices()
    assert found[0].name == resolve_device("auto").name
    assert "cpu" in [device.name for device in found]
