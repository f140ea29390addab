"""PyTorch eager: token ids in, or text in with the Hugging Face tokenizer as a user writes it."""
import numpy as np
import torch
import transformers
from worker import padded, serve


def read_head(folder, dtype):
    head = np.load(folder / "head.npz")
    return torch.from_numpy(head["weight"]).to(dtype), torch.from_numpy(head["bias"]).to(dtype)


class Torch:
    def __init__(self, folder, precision, kind):
        torch.set_num_threads(1)
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        self.encoder = transformers.BertModel.from_pretrained(folder / "encoder", add_pooling_layer=False, dtype=dtype,
                                                              attn_implementation="sdpa").eval()
        self.weight, self.bias = read_head(folder, dtype)
        self.versions = {"torch": torch.__version__, "transformers": transformers.__version__}
        self.setting = f"{precision} weights, eager"
        self.tokenizer = None
        if kind == "text":
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "encoder")
            self.most = int((folder / "max_tokens.txt").read_text())

    def prepare(self, rows):
        if self.tokenizer:
            sides = list(zip(*(row["sides"] for row in rows), strict=True))
            return [list(side) for side in sides]
        return dict(zip(("input_ids", "attention_mask", "token_type_ids"), map(torch.from_numpy, padded(rows)), strict=True))

    @torch.inference_mode()
    def infer(self, batch):
        if self.tokenizer:
            batch = self.tokenizer(*batch, padding=True, truncation=True, max_length=self.most, return_tensors="pt")
        states = self.encoder(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
        return ((states * mask).sum(1) / mask.sum(1) @ self.weight.T + self.bias).float().numpy()


if __name__ == "__main__":
    serve(Torch)
