"""OpenVINO: dynamic shapes, one thread, one stream; int8 is the model that NNCF quantised after training."""
import openvino
from worker import Unsupported, padded, serve


class OpenVino:
    def __init__(self, folder, precision, _input):
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise Unsupported("OpenVINO has no bf16 on this processor")
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
        settings["ENABLE_CPU_PINNING"] = False  # the process is pinned from outside
        if precision != "int8":  # int8: what stays in floating point runs in what OpenVINO takes by itself here
            settings["INFERENCE_PRECISION_HINT"] = {"fp32": "f32", "bf16": "bf16"}[precision]
        compiled = core.compile_model(folder / ("openvino.int8.xml" if precision == "int8" else "openvino.xml"), "CPU", settings)
        self.request = compiled.create_infer_request()
        self.versions = {"openvino": openvino.__version__.split("-")[0]}
        self.setting = f"dynamic shapes, {compiled.get_property('INFERENCE_PRECISION_HINT').get_type_name()} hint"

    def prepare(self, rows):
        return padded(rows)

    def infer(self, arrays):
        return self.request.infer(arrays, share_inputs=True, share_outputs=True)[0]


if __name__ == "__main__":
    serve(OpenVino)
