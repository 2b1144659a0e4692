"""ONNX Runtime sessions: the one place that opens a graph."""

from typing import Any


def open_session(graph: bytes, threads: int = 0) -> Any:
    """Return a session that runs ``graph`` on the CPU, on ``threads`` threads (0: one a core); raises as that does."""
    import onnxruntime  # a tenth of a second that `--help` need not wait for

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others need the core
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
