"""What keeps the inference libraries quiet, safe and on one thread.

Given by the worker to every analysis child, and by the child to its own sub-processes: the
libraries read it when they are first loaded. With it no library calls home, installs a package or
fetches a file on its own, and a `.pt` file is read without running the code inside.
"""

from __future__ import annotations

import os
from pathlib import Path


def quiet_environment(models_dir: Path, *, threads: int = 1) -> dict[str, str]:
    """Variables to add to the environment of a process that loads models."""
    devices = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251  handed on, not read
        if name.startswith(("CUDA_", "NVIDIA_", "HF_"))
    }
    return devices | {
        # One thread, which sleeps while it waits: spinning threads starve their neighbours.
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        # ultralytics: no network, no pip, weights without code, its settings under models_dir
        "YOLO_OFFLINE": "1",
        "YOLO_AUTOINSTALL": "0",
        "YOLO_VERBOSE": "false",
        "YOLO_CONFIG_DIR": str(models_dir / "ultralytics"),
        "ULTRALYTICS_SAFE_LOAD": "1",
        # OpenVINO sends no telemetry from a build machine
        "CI": "true",
        "OPENCV_LOG_LEVEL": "ERROR",
        "PYANNOTE_METRICS_ENABLED": "0",
    }
