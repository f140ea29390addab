"""ONNX Runtime: the graph fused by its transformer optimizer; int8 is its dynamic quantisation of that graph."""
import onnxruntime
from worker import padded, serve


class OnnxRuntime:
    def __init__(self, folder, precision, _input):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = folder / ("onnx.int8.onnx" if precision == "int8" else "onnx.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.names = [one.name for one in self.session.get_inputs()]
        self.versions = {"onnxruntime": onnxruntime.__version__}
        self.setting = "fused" + (", dynamic quantisation" if precision == "int8" else "")

    def prepare(self, rows):
        return dict(zip(("input_ids", "attention_mask", "token_type_ids"), padded(rows), strict=True))

    def infer(self, feed):
        return self.session.run(None, feed)[0]


if __name__ == "__main__":
    serve(OnnxRuntime)
