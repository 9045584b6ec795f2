"""ONNX Runtime's operators, as oracles for the algorithms that the snippets write out."""

from functools import cache

import numpy as np
import onnx
import onnxruntime
import torch


def in_onnx(graph: str, **feeds) -> np.ndarray:
    """The first output of a graph in ONNX's text form, "(inputs) => (outputs) { nodes }"."""
    return _session(graph).run(None, {name: np.asarray(value) for name, value in feeds.items()})[0]


@cache
def _session(graph: str) -> onnxruntime.InferenceSession:
    text = f'<ir_version: 10, opset_import: ["": 21]> g {graph}'
    model = onnx.parser.parse_model(text).SerializeToString()
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def onnx_nms(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> list[int]:
    """Indices that NonMaxSuppression keeps, best first: boxes (N, 4) by corners, scores (N,)."""
    graph = """(float[1, N, 4] boxes, float[1, 1, N] scores, int64[1] most, float[1] limit)
        => (int64[K, 3] kept) { kept = NonMaxSuppression(boxes, scores, most, limit) }"""
    kept = in_onnx(
        graph,
        boxes=boxes.float().numpy()[None],
        scores=scores.float().numpy()[None, None],
        most=[len(boxes)],
        limit=np.float32([threshold]),
    )
    return kept[:, 2].tolist()
