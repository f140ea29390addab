"""The recipes in deploy/batch start what they promise: batch_recipes_test.py TILEWISE

Each is read as the scheduler that it is for reads it, and the commands in it are run on a tiny model: together the shards give the answers of one plain job.
"""
import datetime
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
from harness import BAD_INPUT, DONE, ROOT, TILEWISE, TestCase, environment, main, model, to_lines, workplace  # noqa: E402

RECIPES = ROOT / "deploy" / "batch"
WORDS = "red black steel usb cable mug phone case shirt shoe".split()
CATALOG = [{"id": f"r{i}", "title": f"{WORDS[i % 10]} {WORDS[i * 7 // 10 % 10]} {i}", "price": i} for i in range(60)]
PAIRS = [{"left_id": f"r{i}", "right_id": f"r{(i * 7 + k) % 60}"} for i in range(60) for k in range(3)]


def answers(folder):
    """The lines of all parts below, in no order."""
    return sorted(line for part in pathlib.Path(folder).rglob("part-*.jsonl") if part.parent.name != "rejected" for line in part.read_bytes().splitlines())


class Recipe(TestCase):
    """self.folder has models/ and data/ as the recipes expect them at the root, and bin/ with the program."""

    def setUp(self):
        super().setUp()
        for name in ("models", "data", "bin"):
            (self.folder / name).mkdir()
        (self.folder / "models" / "product-search.tw").symlink_to(model())
        (self.folder / "bin" / "tilewise").symlink_to(pathlib.Path(TILEWISE).resolve())
        self.write("data/catalog.jsonl", to_lines(CATALOG))
        self.write("data/pairs.jsonl", to_lines(PAIRS))

    def due(self):
        """The answers of one plain job."""
        output = workplace() / "recipes-due"
        if not output.exists():
            self.done("batch", model(), "--task", "duplicate", "--catalog", self.folder / "data" / "catalog.jsonl",
                      "--input", self.folder / "data" / "pairs.jsonl", "--output", output)
        return answers(output)

    def here(self, text):
        """/models and /data are in this test's folder."""
        return re.sub(r"(?<![\w}])/(models|data)/", rf"{self.folder}/\1/", text)

    def start(self, command, code=DONE, **variables):
        """Runs it as a scheduler would and expects this exit code; returns standard error."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run([self.here(str(word)) for word in command], env={**environment(), "PATH": path, **variables}, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, encoding="utf-8", timeout=300)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr


class Cron(Recipe):
    def night(self):
        self.start([RECIPES / "nightly.sh", "/models/product-search.tw", "/data/catalog.jsonl", "/data/pairs.jsonl", self.folder / "scores"])

    def test_nights_follow_each_other(self):
        self.night()
        scores, today = self.folder / "scores", datetime.date.today()
        first = next(scores.glob("20*"))
        self.assertLessEqual(abs((datetime.date.fromisoformat(first.name) - today).days), 1)
        self.assertEqual(answers(first), self.due())
        self.night()  # the same night again: nothing is done twice
        self.assertEqual(answers(scores / "latest"), self.due())

        first.rename(scores / "2020-02-02")
        (scores / "latest").unlink()
        (scores / "latest").symlink_to("2020-02-02")
        self.write("data/catalog.jsonl", to_lines([{**CATALOG[0], "title": "another mug"}, *CATALOG[1:]]))
        self.night()
        latest = (scores / "latest").resolve()
        self.assertNotEqual(latest.name, "2020-02-02")
        manifest = json.loads((latest / "_manifest.json").read_text(encoding="utf-8"))
        changed = sum("r0" in pair.values() for pair in PAIRS)
        self.assertEqual((manifest["rows"], manifest["reused"]), (len(PAIRS), len(PAIRS) - changed))


class Kubernetes(Recipe):
    TEXT = (RECIPES / "cronjob.yaml").read_text(encoding="utf-8")

    def test_the_shards_of_the_indexed_job(self):
        # YAML's lists in brackets are JSON's.
        words = json.loads(re.search(r"^ *command: (\[.*?\])$", self.TEXT, re.DOTALL | re.MULTILINE)[1])
        words += json.loads(re.search(r"^ *args: (\[.*?\])$", self.TEXT, re.DOTALL | re.MULTILINE)[1])
        shards = int(re.search(r"^ *completions: (\d+)$", self.TEXT, re.MULTILINE)[1])
        for index in range(shards):
            values = {"JOB_COMPLETION_INDEX": str(index), "JOB_NAME": "duplicates-1"}
            self.start([re.sub(r"\$\((\w+)\)", lambda name: values[name[1]], word) for word in words])
        scores = self.folder / "data" / "scores" / "duplicates-1"
        self.assertEqual({path.name for path in scores.iterdir()}, {f"shard-{i}-of-{shards}" for i in range(shards)})
        self.assertEqual(answers(scores), self.due())

    def test_the_file(self):
        lines = [line.split("#")[0].rstrip() for line in self.TEXT.splitlines()]
        indents = [len(line) - len(line.lstrip()) for line in lines if line and not line.lstrip().startswith('"')]
        self.assertEqual([indent for indent in indents if indent % 2], [])
        self.assertNotIn("\t", self.TEXT)
        for opening, closing in ("[]", "{}", "()"):
            self.assertEqual(self.TEXT.count(opening), self.TEXT.count(closing))

    @unittest.skipUnless(importlib.util.find_spec("yaml"), "there is no YAML parser")
    def test_the_file_read_by_a_parser(self):
        import yaml  # not of the standard library
        cron = yaml.safe_load(self.TEXT)
        job = cron["spec"]["jobTemplate"]["spec"]
        container, = job["template"]["spec"]["containers"]
        self.assertEqual((cron["apiVersion"], cron["kind"], job["completionMode"]), ("batch/v1", "CronJob", "Indexed"))
        self.assertEqual(job["template"]["spec"]["restartPolicy"], "Never", "podFailurePolicy demands it")
        self.assertEqual(container["name"], job["podFailurePolicy"]["rules"][0]["onExitCodes"]["containerName"])
        self.assertEqual(container["resources"]["requests"], container["resources"]["limits"])
        volumes = {volume["name"] for volume in job["template"]["spec"]["volumes"]}
        self.assertEqual(volumes, {mount["name"] for mount in container["volumeMounts"]})


class SageMaker(Recipe):
    REQUEST = json.loads((RECIPES / "sagemaker_processing.json").read_text(encoding="utf-8"))
    FILES = {"catalog": ("data/catalog.jsonl", "catalog.jsonl"), "pairs": ("data/pairs.jsonl", "pairs.jsonl"),
             "model": ("models/product-search.tw", "product-search.tw")}

    def container(self, host, hosts):
        """/opt/ml of one host, as SageMaker makes it from the request."""
        root = self.folder / host
        (root / "config").mkdir(parents=True)
        (root / "config" / "resourceconfig.json").write_text(json.dumps({"current_host": host, "hosts": hosts}))
        (root / "config" / "processingjobconfig.json").write_text(json.dumps(self.REQUEST))
        for one in self.REQUEST["ProcessingInputs"]:
            folder = root / pathlib.Path(one["S3Input"]["LocalPath"]).relative_to("/opt/ml")
            folder.mkdir(parents=True)
            if one["InputName"] in self.FILES:  # the first job has no previous one
                source, name = self.FILES[one["InputName"]]
                (folder / name).write_bytes((self.folder / source).read_bytes())
        return root

    def test_each_host_answers_its_shard(self):
        application = self.REQUEST["AppSpecification"]
        hosts = [f"algo-{i + 1}" for i in range(self.REQUEST["ProcessingResources"]["ClusterConfig"]["InstanceCount"])]
        for host in hosts:
            root = self.container(host, hosts)
            self.start(application["ContainerEntrypoint"] + application["ContainerArguments"], TILEWISE_SAGEMAKER_ROOT=str(root))
            self.assertFalse((root / "output" / "message").exists())
        output, = self.REQUEST["ProcessingOutputConfig"]["Outputs"]
        local = pathlib.Path(output["S3Output"]["LocalPath"]).relative_to("/opt/ml")
        uploaded = [path.name for host in hosts for path in (self.folder / host / local).iterdir()]
        self.assertEqual(uploaded, ["shard-0-of-2", "shard-1-of-2"], "no host overwrites what another has uploaded")
        self.assertEqual(sorted(line for host in hosts for line in answers(self.folder / host / local)), self.due())

    def test_a_failure_is_said_in_the_message(self):
        root = self.container("algo-1", ["algo-1"])
        for file in (root / "processing" / "input" / "catalog").iterdir():
            file.write_bytes(b"\x1f\x8b\x08 no gzip")
        said = self.start(["tilewise", "batch", "--sagemaker", "--task", "duplicate"], code=BAD_INPUT, TILEWISE_SAGEMAKER_ROOT=str(root))
        message = (root / "output" / "message").read_text(encoding="utf-8")
        self.assertIn(message.replace("algo-1: ", "tilewise: error: ")[:900], said)
        self.assertLessEqual(len(message.encode()), 1024)


class AwsBatch(Recipe):
    DEFINITION = json.loads((RECIPES / "aws_batch_job.json").read_text(encoding="utf-8"))

    def test_the_children_of_an_array_job(self):
        command = [word.replace("Ref::run", "2026-12-01") for word in self.DEFINITION["containerProperties"]["command"]]
        for index in range(3):
            self.start(command, AWS_BATCH_JOB_ARRAY_INDEX=str(index), AWS_BATCH_JOB_ARRAY_SIZE="3")
        self.assertEqual(answers(self.folder / "data" / "scores" / "2026-12-01"), self.due())

    def test_what_is_tried_again(self):
        rules = {rule["onExitCode"]: rule["action"] for rule in self.DEFINITION["retryStrategy"]["evaluateOnExit"] if "onExitCode" in rule}
        self.assertEqual({code: rules.get(str(code), rules["*"]) for code in range(1, 6)}, {1: "RETRY", 2: "EXIT", 3: "EXIT", 4: "EXIT", 5: "RETRY"})


class Airflow(Recipe):
    """The DAG with stand-ins for what it takes from Airflow."""

    def dag(self):
        class FailedForGood(Exception):
            pass

        mapped = []

        def task(**options):
            def wrap(function):
                function.options, function.expand = options, lambda **values: mapped.append((function, values))
                return function
            return wrap

        modules = {name: types.ModuleType(name) for name in ("airflow", "airflow.sdk", "airflow.sdk.exceptions")}
        modules["airflow.sdk"].dag, modules["airflow.sdk"].task = lambda **options: lambda function: function, task
        modules["airflow.sdk.exceptions"].AirflowFailException = FailedForGood
        before = dict(sys.modules)
        sys.modules.update(modules)
        try:
            spec = importlib.util.spec_from_file_location("airflow_dag", RECIPES / "airflow_dag.py")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        finally:
            for name in modules:
                sys.modules.pop(name) if name not in before else sys.modules.update({name: before[name]})
        module.MODELS, module.DATA = self.folder / "models", self.folder / "data"
        (function, values), = mapped
        return function, values["shard"], FailedForGood

    def test_shards_and_failures(self):
        function, shards, failed_for_good = self.dag()
        (self.folder / "data" / "2026-12-01").mkdir()
        for name in ("catalog.jsonl", "pairs.jsonl"):
            (self.folder / "data" / name).rename(self.folder / "data" / "2026-12-01" / name)
        path, os.environ["PATH"] = os.environ["PATH"], f"{self.folder / 'bin'}:{os.environ['PATH']}"
        try:
            for shard in shards:
                function(shard, ds="2026-12-01")
            with self.assertRaises(failed_for_good):
                function(0, ds="2026-12-02")  # there is no input of that day
        finally:
            os.environ["PATH"] = path
        self.write("data/catalog.jsonl", to_lines(CATALOG))
        self.write("data/pairs.jsonl", to_lines(PAIRS))
        self.assertEqual(answers(self.folder / "data" / "scores" / "2026-12-01"), self.due())
        self.assertGreater(function.options["retries"], 0)


if __name__ == "__main__":
    main()
