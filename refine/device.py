"""The device that networks and propagation use."""

from __future__ import annotations

import torch

from refine.errors import InputError


def choose_device(name: str) -> torch.device:
    """The device called ``name`` in ``constants.DEVICES``; raises InputError when CUDA is asked for and absent."""
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("no CUDA device was found", remedy="Use --device auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """``cpu``, or the name of the GPU."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
