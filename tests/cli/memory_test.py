"""The real model's batch job stays under 130 MB with two replicas, the model's pages included: memory_test.py TILEWISE."""
import os
import pathlib

from harness import ROOT, TestCase, from_lines, main, to_lines, workplace

EXAMPLE = ROOT / "examples" / "product-search"
LIMIT_MB = 130


class Memory(TestCase):
    def test_batch(self):
        backbone = os.environ.get("TILEWISE_BACKBONE", "")
        if not pathlib.Path(backbone, "model.safetensors").exists():
            self.skipTest("TILEWISE_BACKBONE names no folder with the backbone")
        model = workplace() / "minilm.tw"
        self.done("compile", EXAMPLE / "model", "--backbone", backbone, "-o", model)
        rows = self.folder / "rows.jsonl"
        pair = {"left": {"title": "word " * 100}, "right": {"title": "word " * 100}}  # cut at the model's limit
        rows.write_bytes((EXAMPLE / "data" / "pairs.jsonl").read_bytes() + to_lines([pair] * 600))
        summary, = from_lines(self.done("batch", model, "--task", "duplicate", "--input", rows, "--output", self.folder / "out",
                                        "--replicas", "2", "--json", "--limit", "1000"))
        print(f"{summary['rss_mb']} MB at most, with {summary['isa']}")
        self.assertLess(summary["rss_mb"], LIMIT_MB)


if __name__ == "__main__":
    main()
