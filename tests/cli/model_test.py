"""check, compile and inspect, with good and bad models: model_test.py TILEWISE."""
import hashlib
import json
import os
import resource
import shutil
import struct

from harness import BAD_INPUT, CHECKPOINTS, DONE, FAILED, WRONG_COMMAND_LINE, TestCase, from_lines, main, model, run, to_lines


class Check(TestCase):
    def test_lists_what_is_supported(self):
        text = self.done("check", CHECKPOINTS / "multi_task", "--backbone", CHECKPOINTS / "bert").decode()
        for part in ("task duplicate", "task vector", "LoRA", "WordPiece", "int8"):
            self.assertIn(part, text)
        self.assertNotIn("UNSUPPORTED", text)

    def test_names_what_is_not(self):
        folder = self.folder / "checkpoint"
        shutil.copytree(CHECKPOINTS / "bert_classifier", folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "architectures": ["T5ForConditionalGeneration"], "model_type": "t5"}))
        done = run("check", folder)
        self.assertEqual(done.returncode, BAD_INPUT, done.stderr)
        self.assertRegex(done.stdout.decode(), "UNSUPPORTED .*T5ForConditionalGeneration")
        self.assertRegex(done.stderr.decode(), "^tilewise: error: .*cannot be compiled")

    def test_a_missing_tokenizer(self):
        folder = self.folder / "checkpoint"
        shutil.copytree(CHECKPOINTS / "bert_classifier", folder)
        for name in ("tokenizer.json", "vocab.txt"):
            (folder / name).unlink()
        done = run("check", folder)
        self.assertEqual(done.returncode, BAD_INPUT)
        self.assertRegex(done.stdout.decode(), "UNSUPPORTED +tokenizer")

    def test_no_folder(self):
        self.error(BAD_INPUT, "check", self.folder / "nowhere", says=["nowhere"])


class Compile(TestCase):
    def broken(self, change):
        """A copy of a tiny checkpoint that `change(folder)` has spoilt."""
        folder = self.folder / "checkpoint"
        shutil.copytree(CHECKPOINTS / "bert_classifier", folder)
        change(folder)
        return folder

    def refused(self, change, *says):
        output = self.folder / "model.tw"
        self.error(BAD_INPUT, "compile", self.broken(change), "-o", output, says=says)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["checkpoint"])

    def test_equal_input_gives_equal_bytes(self):
        for name in ("a.tw", "b.tw"):
            self.done("compile", CHECKPOINTS / "multi_task", "--backbone", CHECKPOINTS / "bert", "-o", self.folder / name)
        self.assertEqual((self.folder / "a.tw").read_bytes(), (self.folder / "b.tw").read_bytes())

    def test_passes_are_said_and_timed(self):
        done = run("compile", CHECKPOINTS / "bert_classifier", "-o", self.folder / "model.tw")
        self.assertEqual((done.returncode, done.stdout), (DONE, b""))
        for name in ("fuse_qkv", "cast", "pack", "write"):
            self.assertRegex(done.stderr.decode(), rf"{name} +\d+\.\d ms")

    def test_precisions(self):
        self.error(WRONG_COMMAND_LINE, "compile", CHECKPOINTS / "bert", "--precision", "fp8", "-o", self.folder / "m.tw",
                   says=["found fp8", "bf16, int8 or fp32"])

    def test_passes_that_must_run(self):
        self.error(WRONG_COMMAND_LINE, "compile", CHECKPOINTS / "bert", "-o", self.folder / "m.tw", "--disable-pass", "pack", says=["found pack"])

    def test_an_unknown_architecture(self):
        def change(folder):
            config = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps({**config, "architectures": ["GPT2Model"], "model_type": "gpt2"}))
        self.refused(change, "GPT2Model")

    def test_broken_weights(self):
        self.refused(lambda folder: os.truncate(folder / "model.safetensors", 5000), "model.safetensors")

    def test_a_missing_tensor(self):
        def change(folder):
            path = folder / "model.safetensors"
            data = path.read_bytes()
            size, = struct.unpack("<Q", data[:8])
            header = data[8:8 + size].replace(b'"classifier.weight"', b'"clazzifier.weight"')
            path.write_bytes(data[:8] + header + data[8 + size:])
        self.refused(change, "classifier.weight")

    def test_a_full_disk_leaves_nothing(self):
        output = self.folder / "model.tw"
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        self.error(FAILED, "compile", CHECKPOINTS / "bert", "-o", output, preexec_fn=limit, says=["model.tw", "File too large"])
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_folder_that_does_not_exist_to_write_to(self):
        self.error(FAILED, "compile", CHECKPOINTS / "bert", "-o", self.folder / "no" / "model.tw", says=["No such file"])


class Int8(TestCase):
    """compile --precision int8, with calibration and without."""

    def compile(self, *more, name="m.tw"):
        """Compiles the multi-task checkpoint and returns what was said."""
        arguments = ("compile", CHECKPOINTS / "multi_task", "--backbone", CHECKPOINTS / "bert", "--precision", "int8", "-o", self.folder / name)
        done = run(*arguments, *more)
        self.assertEqual((done.returncode, done.stdout), (DONE, b""), done.stderr.decode())
        return done.stderr.decode()

    def refused(self, code, *more, says, precision="int8"):
        output = self.folder / "m.tw"
        arguments = ("compile", CHECKPOINTS / "multi_task", "--backbone", CHECKPOINTS / "bert", "--precision", precision, "-o", output)
        self.error(code, *arguments, *more, says=says)
        self.assertFalse(output.exists())

    def inspect(self, name="m.tw"):
        about, = from_lines(self.done("inspect", self.folder / name, "--json"))
        return about

    def texts(self, name="rows.jsonl", count=12):
        return self.write(name, to_lines([{"text": f"where is my order number {i}"} for i in range(count)]))

    def test_without_rows(self):
        said = self.compile()
        self.assertIn("not calibrated", said)
        self.assertRegex(said, r"quantize +\d+\.\d ms  8 of 8 linear layers, 100.0 %")
        about = self.inspect()
        self.assertEqual((about["precision"], about["int8_share"], about["calibration"]), ("int8", 1, []))
        self.assertEqual([linear["layer"] for linear in about["linears"][:4]],
                         ["layers.0.qkv", "layers.0.attention_output", "layers.0.ffn_up", "layers.0.ffn_down"])
        for linear in about["linears"]:
            floor = -0.17 if linear["layer"].endswith("ffn_down") else None  # GELU's minimum
            self.assertEqual((linear["precision"], linear["smoothed"], linear["input_floor"], linear["error"]), ("int8", False, floor, None))
        text = self.done("inspect", self.folder / "m.tw").decode()
        for part in ("8 of 8 linear layers", "layers.1.ffn_down", "from -0.17", "int8: weights with one scale an output", "not calibrated"):
            self.assertIn(part, text)

    def test_with_rows(self):
        rows = self.texts()
        pairs = self.write("pairs.jsonl", to_lines([{"left": {"title": f"mug {i}"}, "right": {"title": "cup"}} for i in range(5)]))
        said = self.compile("--calibrate", f"intent={rows}", "--calibrate", f"duplicate={pairs}")
        self.assertRegex(said, "calibrated with 12 rows of intent: error of its outputs [0-9.]+ %")
        self.assertIn("layers.1.attention_output", said)
        about = self.inspect()
        calibration = {entry["task"]: entry for entry in about["calibration"]}
        self.assertEqual({task: entry["rows"] for task, entry in calibration.items()}, {"intent": 12, "duplicate": 5})
        self.assertEqual(calibration["intent"]["sha256"], hashlib.sha256(rows.read_bytes()).hexdigest())
        for linear in about["linears"]:
            self.assertTrue(0 < linear["error"] < 0.2, linear)
        self.assertIn(calibration["intent"]["sha256"], self.done("inspect", self.folder / "m.tw").decode())

    def test_equal_input_gives_equal_bytes(self):
        for name in ("a.tw", "b.tw"):
            self.compile("--calibrate", f"intent={self.texts()}", name=name)
        self.assertEqual((self.folder / "a.tw").read_bytes(), (self.folder / "b.tw").read_bytes())

    def test_bad_rows_are_counted(self):
        path = self.write("rows.jsonl", b'{"text": "one"}\nnot json\n{"text": 7}\n{"text": "two"}\n')
        said = self.compile("--calibrate", f"intent={path}")
        self.assertRegex(said, "warn.* 2 of 4 rows of .*rows.jsonl are left out, the first: .*rows.jsonl:2")
        self.assertEqual(self.inspect()["calibration"][0]["rows"], 2)

    def test_records_that_do_not_fit_the_template(self):
        pairs = [{"left": {"title": "mug"}, "right": {"title": "cup"}}, {"left": {"weight": "1"}, "right": {"weight": "2"}}]
        said = self.compile("--calibrate", f"duplicate={self.write('pairs.jsonl', to_lines(pairs))}")
        self.assertRegex(said, "warn.* 1 calibration rows of duplicate are left out, the first: ")

    def test_refused(self):
        rows = self.texts()
        self.refused(WRONG_COMMAND_LINE, "--calibrate", f"intent={rows}", precision="bf16", says=["only int8", "--precision int8"])
        self.refused(WRONG_COMMAND_LINE, "--calibrate", str(rows), says=["TASK=ROWS"])
        self.refused(WRONG_COMMAND_LINE, "--calibrate", "intent=", says=["TASK=ROWS"])
        self.refused(WRONG_COMMAND_LINE, "--calibrate", f"intent={rows}", "--calibrate", f"intent={rows}", says=["a task is calibrated twice", "intent"])
        self.refused(BAD_INPUT, "--calibrate", f"intents={rows}", says=["no such task", "found intents", "duplicate, intent"])
        self.refused(BAD_INPUT, "--calibrate", f"intent={self.folder / 'nowhere'}", says=["nowhere"])
        self.refused(BAD_INPUT, "--calibrate", f"intent={self.write('empty.jsonl', b'')}", says=["no row to calibrate with", "an empty file"])
        self.refused(BAD_INPUT, "--calibrate", f"duplicate={rows}", says=["no row to calibrate with", "left", "rows.jsonl:1"])
        self.refused(BAD_INPUT, "--calibrate", f"intent={self.write('bad.jsonl', b'7' * 100)}", says=["no row to calibrate with", "bad.jsonl:1"])


class Inspect(TestCase):
    def test_everything_as_json(self):
        with open(CHECKPOINTS / "multi_task" / "tasks.json", encoding="utf-8") as file:
            tasks = json.load(file)["tasks"]
        about, = from_lines(self.done("inspect", model("bf16"), "--json"))
        self.assertEqual([task["name"] for task in about["tasks"]], [task["name"] for task in tasks])
        for found, due in zip(about["tasks"], tasks):
            for key in ("kind", "input", "pooling", "max_tokens", "truncation"):
                self.assertEqual(found[key], due[key])
            self.assertEqual(found["labels"], due.get("labels", []))
            self.assertEqual(found["template"]["fields"], due.get("template", {}).get("fields", []))
            if "threshold" in due:
                self.assertEqual(found["threshold"], due["threshold"])
        self.assertEqual(about["tasks"][1]["out_of_scope_below"], 1.5)
        self.assertEqual(about["tasks"][1]["temperature"], 1.5)
        self.assertTrue(about["tasks"][4]["normalize"])
        self.assertEqual((about["precision"], about["verified"]), ("bf16", True))
        self.assertEqual((about["int8_share"], about["linears"], about["calibration"]), (None, [], []))
        self.assertEqual(about["spec"]["layers"], 2)
        self.assertIn("bf16", about["numerics"].values())
        self.assertEqual(about["bytes"], model("bf16").stat().st_size)
        self.assertIn("tasks.json", [source["file"] for source in about["provenance"]["sources"]])

    def test_for_people(self):
        text = self.done("inspect", model(), "--verify").decode()
        for part in ("task duplicate", "COL title VAL {title} COL brand VAL {brand}", "logit >= -0.68", "sha256", "fp32"):
            self.assertIn(part, text)

    def test_no_model(self):
        self.error(BAD_INPUT, "inspect", self.folder / "nowhere.tw", says=["nowhere.tw", "No such file"])
        self.error(BAD_INPUT, "inspect", self.write("empty.tw", b""), says=["empty.tw"])
        self.error(BAD_INPUT, "inspect", CHECKPOINTS / "bert" / "model.safetensors", says=["model.safetensors"])
        self.assertIn(run("inspect", self.folder).returncode, (FAILED, BAD_INPUT))

    def test_a_truncated_model(self):
        data = model().read_bytes()
        for size in (1, 63, 64, 1000, len(data) // 2, len(data) - 1):
            self.error(BAD_INPUT, "inspect", self.write("cut.tw", data[:size]), says=["cut.tw"])

    def test_a_flipped_bit_is_found(self):
        data = model().read_bytes()
        for at in range(0, len(data), len(data) // 40):
            path = self.write("flipped.tw", data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:])
            if data[at] != 0 or run("inspect", path).returncode != DONE:  # padding between tensors may hold anything
                self.error(BAD_INPUT, "inspect", path, says=["flipped.tw"])

    def test_verify_looks_at_the_tensors_before_anything_runs(self):
        data = bytearray(model().read_bytes())
        data[-100] ^= 1  # in the last tensor
        path = self.write("flipped.tw", bytes(data))
        self.error(BAD_INPUT, "predict", path, "--task", "tags", "--verify", "a text", says=["flipped.tw"])


if __name__ == "__main__":
    main()
