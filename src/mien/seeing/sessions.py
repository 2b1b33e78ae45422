"""Sessions of ONNX Runtime, by which networks are run. All sessions of mien are opened here, in the same way.

Measured on the shipped networks (one x86-64 core): opening takes 2 to 30 ms at full optimisation, so networks are not
stored optimised. Memory patterns are off: they save no time here, and a detector that sees many picture sizes would
keep a plan for each of them; without patterns its memory stays flat. The arena is on: without it, peak memory is
higher.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.errors import DamagedModelError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_SILENT = 4  # only fatal errors are logged: others are raised, and warnings would land in the user's terminal


def open_session(data: bytes, threads: int = 1) -> InferenceSession:
    """A session for the network in `data` (the bytes of an ONNX file), ready to run on the CPU in so many `threads`.

    One thread is right for a worker: there is one worker a core, each with sessions of its own. Raises
    DamagedModelError if `data` is no network that can be run.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as foreign

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.enable_mem_pattern = False
    options.log_severity_level = _SILENT
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"], enable_fallback=0)
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
