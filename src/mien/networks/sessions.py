"""Sessions of ONNX Runtime, by which networks are run. All sessions of mien are opened here, in the same way.

Measured on the shipped networks (one x86-64 core): opening takes 2 to 30 ms at full optimisation, so networks are not
stored optimised. Memory patterns are off: they save no time here, and a detector that sees many picture sizes would
keep a plan for each of them; without patterns its memory stays flat. The arena is on: without it, peak memory is
higher.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.errors import DamagedModelError, MissingExtraError
from mien.text.words import listed

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

PROVIDERS = {
    "cpu": ("CPUExecutionProvider", ""),
    "openvino": ("OpenVINOExecutionProvider", "onnxruntime-openvino"),
    "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu"),
    "coreml": ("CoreMLExecutionProvider", ""),
    "directml": ("DmlExecutionProvider", "onnxruntime-directml"),
}
"""Where an encoder can be run: ONNX Runtime's name of the execution provider, and the package that brings it ("" where
the usual one does, on systems that have it). Such a package replaces `onnxruntime`: the two cannot lie side by side."""

_SILENT = 4  # only fatal errors are logged: others are raised, and warnings would land in the user's terminal


def open_session(data: bytes, threads: int = 1, provider: str = "cpu") -> InferenceSession:
    """A session for the network in `data` (the bytes of an ONNX file), ready to run in so many `threads`.

    One thread is right for a worker: there is one worker a core, each with sessions of its own. `provider` is one of
    PROVIDERS. Raises MissingExtraError where that is not here, and DamagedModelError if `data` is no network that can
    be run.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as foreign

    wanted = _provider(provider)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.enable_mem_pattern = False
    options.log_severity_level = _SILENT
    try:
        session = onnxruntime.InferenceSession(data, options, providers=wanted, enable_fallback=0)
    except (
        foreign.Fail,
        foreign.InvalidArgument,
        foreign.InvalidGraph,
        foreign.InvalidProtobuf,
        foreign.NotImplemented,
        foreign.RuntimeException,
        ValueError,  # a name in the file that is not UTF-8
    ) as error:
        raise DamagedModelError(
            f"A network of {len(data):,} bytes",
            f"cannot be run: {' '.join(str(error).split()).rstrip('.')}",
            "If it came with mien, reinstall mien; if it is a model of yours, train again.",
        ) from error
    if wanted[0] not in session.get_providers():  # ONNX Runtime goes on without a provider that does not start
        raise _not_there(provider, "does not start: its drivers or libraries are missing, or too old")
    return session


def _provider(name: str) -> list[str]:
    """ONNX Runtime's names for the provider `name`: that, and the CPU for operators that it does not know."""
    import onnxruntime

    wanted, package = PROVIDERS[name]
    if wanted not in onnxruntime.get_available_providers():
        why = f"is not in this ONNX Runtime: the package {package} brings it" if package else "is not on this system"
        raise _not_there(name, why)
    return list(dict.fromkeys([wanted, "CPUExecutionProvider"]))


def _not_there(name: str, why: str) -> MissingExtraError:
    package = PROVIDERS[name][1]
    here = listed(sorted(_here()))
    install = f"Put {package} in the place of onnxruntime (docs/encoders.md), or set" if package else "Set"
    return MissingExtraError(f"The provider {name}", why, f"{install} provider in mien.toml to what is here: {here}.")


def _here() -> list[str]:
    """The names of the providers of this ONNX Runtime."""
    import onnxruntime

    there = onnxruntime.get_available_providers()
    return [name for name, (provider, _) in PROVIDERS.items() if provider in there]
