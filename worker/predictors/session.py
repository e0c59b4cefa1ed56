"""ONNX Runtime sessions, set up as measured best for these networks."""

from pathlib import Path

import onnxruntime as ort


def open_session(path: Path, threads: int) -> ort.InferenceSession:
    """Load a graph on the CPU; `threads` = 0 lets ONNX Runtime take one a core.

    To be called after a worker forked, never before: destroying an inherited session ends the child.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    # A pattern is kept for every input size ever seen: 2.5 times the memory at no gain in speed.
    options.enable_mem_pattern = False
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads that spin would burn the cores of the workers beside this one.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
