"""devices, and that a forced instruction set really runs: machine_test.py TILEWISE."""
import os
import platform

from harness import DONE, WRONG_COMMAND_LINE, WRONG_MACHINE, TestCase, from_lines, main, model, run, to_lines

IS_ARM = platform.machine() in ("aarch64", "arm64")
FOREIGN = "amx" if IS_ARM else "neon"


class Devices(TestCase):
    def test_json(self):
        about, = from_lines(self.done("devices", "--json"))
        allowed = os.sched_getaffinity(0)
        self.assertLessEqual({core["cpu"] for core in about["cores"]}, allowed)
        self.assertTrue(all(core["cpu"] in core["siblings"] for core in about["cores"]))
        self.assertLessEqual(len(about["cores"]), about["machine_cores"])
        self.assertTrue(1 <= about["default_replicas"] <= len(about["cores"]))
        self.assertTrue({"portable", "neon"} & set(about["isas"]))
        for precision in ("fp32", "bf16"):
            self.assertIn(about["auto"][precision], about["isas"])

    def test_for_people(self):
        text = self.done("devices").decode()
        for part in ("processor", "cores", "caches", "cgroup CPUs", "levels", "bf16 runs with", "replicas"):
            self.assertIn(part, text)

    def test_the_cpuset_counts(self):
        one = min(os.sched_getaffinity(0))
        about, = from_lines(self.done("devices", "--json", preexec_fn=lambda: os.sched_setaffinity(0, {one})))
        self.assertEqual([core["cpu"] for core in about["cores"]], [one])
        self.assertEqual(about["default_replicas"], 1)


class ForcedIsa(TestCase):
    def supported(self):
        return from_lines(self.done("devices", "--json"))[0]["isas"]

    def shown(self, verb, *arguments, **more):
        """What the verb says ran."""
        return from_lines(self.done(verb, model(), *arguments, "--json", **more))[0]["isa"]

    def test_flag_and_environment(self):
        rows = self.write("rows.jsonl", to_lines([{"text": "a"}]))
        weakest = self.supported()[0]
        quick = ["--task", "intent", "--input", rows, "--seconds", "0.01", "--warmup", "0"]
        self.assertEqual(self.shown("inspect", isa=weakest), weakest)
        self.assertEqual(self.shown("inspect", "--isa", weakest), weakest)
        self.assertEqual(self.shown("bench", *quick, isa=weakest), weakest)
        self.assertEqual(self.shown("batch", "--task", "intent", "--input", rows, "--output", self.folder / "out", isa=weakest), weakest)
        strongest = from_lines(self.done("devices", "--json"))[0]["auto"]["fp32"]
        self.assertEqual(self.shown("bench", *quick), strongest)
        self.assertEqual(self.shown("bench", *quick, "--isa", strongest, isa=weakest), strongest)
        self.assertEqual(from_lines(self.done("devices", "--json", isa=weakest))[0]["auto"]["fp32"], weakest)

    def test_levels_agree(self):
        rows = to_lines({"text": f"where is my parcel {i}"} for i in range(40))
        results = {}
        for level in self.supported():
            done = run("predict", model(), "--task", "urgency", isa=level, stdin=rows)
            if done.returncode == DONE:
                results[level] = [answer["value"] for answer in from_lines(done.stdout)]
        self.assertTrue(results)
        for level, values in results.items():
            for a, b in zip(values, next(iter(results.values())), strict=True):
                self.assertLess(abs(a - b), 1e-5, level)  # fp32: the order of at most 72 products in a sum

    def test_unknown_names(self):
        self.error(WRONG_COMMAND_LINE, "predict", model(), "--task", "intent", "--isa", "sse9", "a", says=["--isa", "avx512_bf16", "found sse9"])
        self.error(WRONG_COMMAND_LINE, "predict", model(), "--task", "intent", "a", isa="sse9", says=["TILEWISE_ISA", "found sse9"])
        self.error(WRONG_COMMAND_LINE, "devices", isa="sse9", says=["TILEWISE_ISA"])

    def test_what_this_machine_cannot_run(self):
        for verb, more in (("predict", ["--task", "intent", "a"]), ("inspect", [])):
            self.error(WRONG_MACHINE, verb, model(), *more, "--isa", FOREIGN, says=[FOREIGN])


if __name__ == "__main__":
    main()
