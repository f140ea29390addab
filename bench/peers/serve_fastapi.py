"""A service as a good engineer would write it in Python: FastAPI on uvicorn, ONNX Runtime, requests that wait go together into one padded batch.

  serve_fastapi.py FOLDER --task T --tasks FILE [--precision int8] [--port 8000] [--max-batch 32]

FOLDER is one of export_models.py: onnx.int8.onnx (or onnx.onnx) and encoder/tokenizer.json; FILE the checkpoint's tasks.json. POST /v2/models/T/infer takes and gives
what `tilewise serve` does for one text and its label, so that one load generator drives both. One worker process, uvloop, httptools;
one thread computes, one batch at a time, while the event loop takes the next requests. Prints a line once it is ready.
"""
import argparse
import asyncio
import concurrent.futures
import contextlib
import json
import pathlib

import fastapi
import numpy as np
import onnxruntime
import orjson
import uvicorn
from tokenizers import Tokenizer


class Model:
    """Texts -> the best label of each."""

    def __init__(self, folder, precision, task):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = folder / ("onnx.int8.onnx" if precision == "int8" else "onnx.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(str(folder / "encoder" / "tokenizer.json"))
        self.tokenizer.enable_truncation(int((folder / "max_tokens.txt").read_text()))
        self.tokenizer.enable_padding(pad_id=self.tokenizer.token_to_id("[PAD]"))
        self.labels = task["labels"]
        self.least = task.get("out_of_scope", {}).get("below", -np.inf)  # of logsumexp; below it none of the labels fits

    def __call__(self, texts):
        encodings = self.tokenizer.encode_batch_fast(texts)
        feed = {"input_ids": np.array([one.ids for one in encodings], np.int64),
                "attention_mask": np.array([one.attention_mask for one in encodings], np.int64),
                "token_type_ids": np.array([one.type_ids for one in encodings], np.int64)}
        logits = self.session.run(None, feed)[0]
        best = logits.argmax(1)
        fits = best >= 0
        if self.least > -np.inf:
            highest = logits.max(1)
            fits = highest + np.log(np.exp(logits - highest[:, None]).sum(1)) >= self.least
        return [self.labels[i] if known else "" for i, known in zip(best, fits, strict=True)]


class Batcher:
    """Whatever waits when the model is free is the next batch, in arrival order, at most `largest` together."""

    def __init__(self, model, largest):
        self.model, self.largest = model, largest
        self.waiting, self.arrived = [], asyncio.Event()
        self.thread = concurrent.futures.ThreadPoolExecutor(1)

    async def answer(self, text):
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((text, future))
        self.arrived.set()
        return await future

    async def run(self):
        loop = asyncio.get_running_loop()
        while True:
            await self.arrived.wait()
            batch, self.waiting = self.waiting[: self.largest], self.waiting[self.largest :]
            if not self.waiting:
                self.arrived.clear()
            try:
                labels = await loop.run_in_executor(self.thread, self.model, [text for text, _ in batch])
            except Exception as error:  # noqa: BLE001: those who wait must hear of it
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), label in zip(batch, labels, strict=True):
                if not future.done():
                    future.set_result(label)


def make_app(model, arguments):
    batcher = Batcher(model, arguments.max_batch)

    @contextlib.asynccontextmanager
    async def lifespan(_app):
        running = asyncio.create_task(batcher.run())
        print("ready", flush=True)
        yield
        running.cancel()

    app = fastapi.FastAPI(openapi_url=None, lifespan=lifespan)

    @app.get("/v2/health/ready")
    async def ready():
        return fastapi.Response(b"{}", media_type="application/json")

    @app.post("/v2/models/" + arguments.task + "/infer")
    async def infer(request: fastapi.Request):
        try:
            tensor, = orjson.loads(await request.body())["inputs"]
            text, = tensor["data"]
            if tensor["name"] != "text" or tensor["datatype"] != "BYTES" or not isinstance(text, str):
                raise ValueError("expected one text")
        except (ValueError, KeyError, TypeError) as error:
            return fastapi.Response(orjson.dumps({"error": str(error)}), 400, media_type="application/json")
        label = await batcher.answer(text)
        answer = {"model_name": arguments.task, "outputs": [{"name": "label", "shape": [1], "datatype": "BYTES", "data": [label]}]}
        return fastapi.Response(orjson.dumps(answer), media_type="application/json")

    return app


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--task", required=True)
    parser.add_argument("--tasks", type=pathlib.Path, required=True, help="tasks.json of the checkpoint")
    parser.add_argument("--precision", choices=("int8", "fp32"), default="int8")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--max-batch", type=int, default=32)
    arguments = parser.parse_args()
    tasks = json.loads(arguments.tasks.read_text(encoding="utf-8"))["tasks"]
    model = Model(arguments.folder, arguments.precision, next(task for task in tasks if task["name"] == arguments.task))
    for size in (1, 2, arguments.max_batch):  # every later batch is as fast as any
        model(["a text to warm up with"] * size)
    uvicorn.run(make_app(model, arguments), host=arguments.host, port=arguments.port, loop="uvloop", http="httptools", log_level="warning",
                access_log=False, timeout_keep_alive=600, backlog=2048)


if __name__ == "__main__":
    main()
