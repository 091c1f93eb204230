"""Which device computes, what it has, and how much memory was used."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from ..errors import DeviceError, nearest_names

__all__ = ["DeviceInfo", "available_devices", "peak_memory_bytes", "resolve_device"]


@dataclass(frozen=True)
class DeviceInfo:
    """A device that exists, and its memory at the moment of asking.

    Attributes
    ----------
    name : str
        As torch takes it: "cpu", "cuda:0", "mps".
    description : str
        For people: "CPU, 8 threads", "NVIDIA RTX 4090".
    free_bytes : int
        Memory of the device that can still be allocated.
    host_free_bytes : int
        Memory of the machine that can still be allocated; the same as `free_bytes` on the CPU.
    process_bytes : int
        What this process already holds of the machine's memory.
    threads : int
        Threads that torch computes with on the CPU.
    """

    name: str
    description: str
    free_bytes: int
    host_free_bytes: int
    process_bytes: int
    threads: int

    @property
    def kind(self) -> str:
        """Which of cpu, cuda and mps it is."""
        return self.name.partition(":")[0]


def resolve_device(device: str = "auto") -> DeviceInfo:
    """Find the device that was asked for; another one is never taken in its place.

    Parameters
    ----------
    device : str
        "auto", "cpu", "cuda", "cuda:n" or "mps". "auto" is the first CUDA device, else the CPU. It is not
        "mps": three-dimensional convolutions run there at about 7 % of the speed of two-dimensional ones
        (pytorch issue 192213), slower than the CPU beside it.

    Raises
    ------
    DeviceError
        If the name is unknown, or the device is not there.
    """
    name = device.strip().lower()
    if name == "auto":
        name = "cuda:0" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if kind == "cuda" and (number == "" or number.isdecimal()):
        return _cuda(int(number or 0))
    if name == "mps":
        return _mps()
    if name == "cpu":
        return _cpu()
    known = ("auto", "cpu", "cuda", "cuda:0", "mps")
    raise DeviceError(
        f"there is no device {device!r}; give auto, cpu, cuda, cuda:n or mps.{nearest_names(name, known)}"
    )


def available_devices() -> tuple[DeviceInfo, ...]:
    """Every device of this machine that `resolve_device` finds, the one that "auto" means first."""
    cuda = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    names = [*(f"cuda:{number}" for number in cuda), "cpu"]
    names += ["mps"] if torch.backends.mps.is_available() else []
    return tuple(resolve_device(name) for name in names)


def peak_memory_bytes(device: DeviceInfo) -> int:
    """Highest memory use: of the CUDA allocator on that device, else of the process since it began."""
    if device.kind == "cuda":
        return int(torch.cuda.max_memory_allocated(device.name))
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    status = Path("/proc/self/status")
    if status.exists():  # the mark of getrusage begins with that of the parent, inherited by fork
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return 1024 * int(fields["VmHWM"].split()[0])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS


def _cpu() -> DeviceInfo:
    free, used = _host_memory()
    threads = torch.get_num_threads()
    return DeviceInfo("cpu", f"CPU, {threads} thread{'s' * (threads > 1)}", free, free, used, threads)


def _cuda(number: int) -> DeviceInfo:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if number >= count:
        built = "this torch was built without CUDA" if torch.version.cuda is None else "no driver or device"
        have = f"this machine has {count} of them" if count else f"none was found ({built})"
        raise DeviceError(f"cuda:{number} was asked for, but {have}; give device auto or cpu")
    name = f"cuda:{number}"
    torch.cuda.reset_peak_memory_stats(name)
    free, _ = torch.cuda.mem_get_info(name)
    cached = torch.cuda.memory_reserved(name) - torch.cuda.memory_allocated(name)
    host_free, used = _host_memory()
    description = torch.cuda.get_device_name(name)
    return DeviceInfo(name, description, free + cached, host_free, used, torch.get_num_threads())


def _mps() -> DeviceInfo:
    if not torch.backends.mps.is_available():
        raise DeviceError("mps was asked for, but this machine has no Apple GPU that torch can use; give cpu")
    free, used = _host_memory()
    limit = int(torch.mps.recommended_max_memory()) - int(torch.mps.driver_allocated_memory())
    return DeviceInfo("mps", "Apple GPU", min(limit, free), free, used, torch.get_num_threads())


def _host_memory() -> tuple[int, int]:
    """Bytes that this process may still take, and bytes that it holds."""
    free = int(psutil.virtual_memory().available)
    used = int(psutil.Process().memory_info().rss)
    limit = _container_limit()
    return (min(free, max(limit - used, 0)) if limit else free), used


def _container_limit() -> int | None:
    """Memory limit of the control group that this process runs in (Linux containers), or None."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        if os.path.exists(path):
            with open(path, encoding="ascii") as file:
                text = file.read().strip()
            return int(text) if text.isdecimal() else None
    return None
