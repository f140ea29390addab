"""CTranslate2: it gives the last hidden states; their mean and the head are two lines of NumPy, as its documentation shows."""
import ctranslate2
import numpy as np
from worker import Unsupported, padded, serve

COMPUTE_TYPES = {"fp32": "float32", "bf16": "bfloat16", "int8": "int8_float32"}


class CTranslate2:
    def __init__(self, folder, precision, _input):
        if COMPUTE_TYPES[precision] not in ctranslate2.get_supported_compute_types("cpu"):
            raise Unsupported(f"CTranslate2 has no {COMPUTE_TYPES[precision]} on this processor")
        self.encoder = ctranslate2.Encoder(str(folder / ("ctranslate2.int8" if precision == "int8" else "ctranslate2")), device="cpu",
                                           compute_type=COMPUTE_TYPES[precision], inter_threads=1, intra_threads=1)
        head = np.load(folder / "head.npz")
        self.weight, self.bias = np.ascontiguousarray(head["weight"].T), head["bias"]
        self.versions = {"ctranslate2": ctranslate2.__version__}
        self.setting = COMPUTE_TYPES[precision]

    def prepare(self, rows):
        ids, mask, types = (array.astype(np.int32) for array in padded(rows))
        lengths = mask.sum(1, dtype=np.int32)
        view = ctranslate2.StorageView.from_array
        return view(ids), view(lengths), types.tolist(), mask[..., None].astype(np.float32), lengths[:, None], (ids, lengths)

    def infer(self, batch):
        ids, lengths, types, mask, counts, _owners = batch
        states = self.encoder.forward_batch(ids, lengths, token_type_ids=types).last_hidden_state
        if states.dtype != ctranslate2.DataType.float32:
            states = states.to(ctranslate2.DataType.float32)
        states = np.asarray(states)
        return (states * mask).sum(1) / counts @ self.weight + self.bias


if __name__ == "__main__":
    serve(CTranslate2)
