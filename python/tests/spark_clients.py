#!/usr/bin/env python3
"""tilewise.spark on a real cluster of Spark, with two executors of one core on this machine: spark_clients.py TILEWISE

Needs Java, and the package with pyspark installed (tests/requirements.txt); exits 77 where something is missing."""
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import unittest.mock

import clusters
from clusters import SKIPPED, TEXT_TASKS, TestCase, by_id, command_line, first, main, model, pairs, texts

try:
    import pyspark
    import tilewise.spark
    from pyspark import cloudpickle
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession, types
except ImportError as missing:
    print(f"skipped: {missing}; see tests/requirements.txt")
    sys.exit(SKIPPED)
if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
    print("skipped: there is no Java")
    sys.exit(SKIPPED)

cloudpickle.register_pickle_by_value(clusters)  # workers have the package, not its tests
FIELDS = ("title", "brand", "price")
RECORD = types.StructType([types.StructField(name, types.StringType()) for name in FIELDS])
PAIRS = types.StructType([types.StructField("id", types.StringType()), types.StructField("left", RECORD), types.StructField("right", RECORD)])
ROWS_OF_A_BATCH = 50  # so that partitions have several
ANSWER = tilewise.spark._answer


def ancestors(pid):
    """The process, its parent, and so on."""
    while pid > 0:
        yield pid
        status = pathlib.Path(f"/proc/{pid}/stat").read_text()
        pid = int(status.rpartition(")")[2].split()[1])


def executor_of_this_worker(test):
    """The executor's JVM, if it is one that this test started."""
    above = list(ancestors(os.getpid()))
    assert test in above, above
    return next(pid for pid in above if b"CoarseGrainedExecutorBackend" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())


def dying(marker, find_victim):
    """The worker's function; that of one worker kills a process, once, in the middle of its partition."""

    def answer(scoring, replicas, batches):
        for number, batch in enumerate(ANSWER(scoring, replicas, batches)):
            yield batch
            if number == 1 and first(marker):
                os.kill(find_victim(), signal.SIGKILL)
                time.sleep(60)  # whoever was killed, this partition does not end

    return answer


def recording(folder):
    """The worker's function, which also notes in FOLDER/PID how many models its process has opened, and their replicas."""

    def answer(scoring, replicas, batches):
        from tilewise._scoring import _open_once

        before = _open_once.cache_info().misses
        rows = 0
        for batch in ANSWER(scoring, replicas, batches):
            rows += batch.num_rows
            yield batch
        if rows:
            opened = scoring.open([scoring.model], replicas=1)
            with open(os.path.join(folder, str(os.getpid())), "a", encoding="utf-8") as notes:
                notes.write(f"{_open_once.cache_info().misses - before} {opened.replicas}\n")

    return answer


session = None


def setUpModule():
    global session
    home = pathlib.Path(tempfile.mkdtemp(dir=clusters.workplace()))
    for entry in pathlib.Path(pyspark.__file__).parent.iterdir():  # executors work in SPARK_HOME/work
        (home / entry.name).symlink_to(entry)
    os.environ.update(PYSPARK_PYTHON=sys.executable, SPARK_HOME=str(home), SPARK_LOCAL_DIRS=str(home / "local"), SPARK_LOCAL_IP="127.0.0.1")
    builder = SparkSession.builder.master("local-cluster[2,1,1024]").appName("tilewise")
    options = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.sql.shuffle.partitions": "4",
               "spark.sql.warehouse.dir": str(home / "warehouse"), "spark.sql.execution.arrow.maxRecordsPerBatch": ROWS_OF_A_BATCH}
    for name, value in options.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")  # errors are expected here


def tearDownModule():
    session.stop()


class SparkCase(TestCase):
    def frame(self, rows, schema=PAIRS, partitions=4):
        return session.createDataFrame(rows, schema).repartition(partitions)

    def answers(self, scored):
        return by_id(self, [row.asDict(recursive=True) for row in scored.collect()])


class Answers(SparkCase):
    def test_same_as_the_command_line_however_it_is_partitioned(self):
        rows = pairs(1000)
        expected = command_line("duplicate", rows, "binary")
        for partitions in (1, 2, 13):
            scored = tilewise.spark.score(self.frame(rows, partitions=partitions), model(), "duplicate", left="left", right="right", id="id")
            self.assertEqual(self.answers(scored), expected)

    def test_every_kind_of_task(self):
        rows = texts(120)
        frame = self.frame(rows, "id string, text string")
        for task, kind in TEXT_TASKS.items():
            for top in (1, 0) if kind == "multiclass" else (1,):
                found = self.answers(tilewise.spark.score(frame, model(), task, id="id", top=top, logits=kind != "embedding"))
                self.assertEqual(found, command_line(task, rows, kind, *["--logits"] * (kind != "embedding"), top=top))

    def test_both_orders_and_threshold(self):
        rows = pairs(100)
        found = self.answers(tilewise.spark.score(self.frame(rows), model(), "duplicate", id="id", both_orders=True, threshold=0.25))
        self.assertEqual(found, command_line("duplicate", rows, "binary", "--both-orders", "--threshold", 0.25))

    def test_schema_is_typed_and_nothing_runs_before_an_action(self):
        frame = self.frame(pairs(3)).withColumnRenamed("id", "my `id`.x")
        jobs = session.sparkContext.statusTracker().getJobIdsForGroup()
        scored = tilewise.spark.score(frame, model(), "duplicate", id="my `id`.x", logits=True)
        self.assertEqual(session.sparkContext.statusTracker().getJobIdsForGroup(), jobs)
        self.assertEqual([(field.name, field.dataType.simpleString()) for field in scored.schema],
                         [("my `id`.x", "string"), ("score", "float"), ("label", "string"), ("logits", "array<float>"),
                          ("truncated", "boolean"), ("error", "string")])
        self.assertEqual(sorted(row[0] for row in scored.collect()), ["p0", "p1", "p2"])

    def test_columns_of_records_and_several_ids(self):
        rows = pairs(60)
        names = [f"`left.{field}`" for field in FIELDS] + [f"right_{field}" for field in FIELDS]
        flat = [(row["id"], number, "unused") + tuple(row[side].get(field) for side in ("left", "right") for field in FIELDS)
                for number, row in enumerate(rows)]
        frame = self.frame(flat, f"id string, number long, leftover string, {' string, '.join(names)} string")
        found = self.answers(tilewise.spark.score(frame, model(), "duplicate", id=["id", "number"]))
        self.assertEqual({key: row.pop("number") for key, row in found.items()}, {row["id"]: i for i, row in enumerate(rows)})
        self.assertEqual(found, command_line("duplicate", rows, "binary"))

    def test_bad_rows_are_null_with_a_reason(self):
        rows = pairs(200)
        for row in rows[::7]:
            row["left"] = None
        expected = command_line("duplicate", rows, "binary")
        found = self.answers(tilewise.spark.score(self.frame(rows), model(), "duplicate", id="id"))
        bad = {key: row for key, row in found.items() if row["error"] is not None}
        self.assertEqual(set(bad), {row["id"] for row in rows[::7]})
        self.assertEqual({(row["score"], row["label"]) for row in bad.values()}, {(None, None)})
        self.assertEqual({key: row for key, row in found.items() if key not in bad}, expected)

    def test_empty_partitions_and_no_rows(self):
        rows = pairs(3)
        scored = tilewise.spark.score(self.frame(rows, partitions=8), model(), "duplicate", id="id")
        self.assertEqual(self.answers(scored), command_line("duplicate", rows, "binary"))
        self.assertEqual(tilewise.spark.score(self.frame([]), model(), "duplicate", id="id").collect(), [])

    def test_a_worker_opens_the_model_once_with_one_replica(self):
        path = self.folder / "model.tw"  # of this test alone: workers keep what others have opened
        shutil.copy(model(), path)
        notes = self.folder / "notes"
        notes.mkdir()
        with unittest.mock.patch.object(tilewise.spark, "_answer", recording(str(notes))):
            scored = tilewise.spark.score(self.frame(pairs(800), partitions=8), path, "duplicate", id="id")
        self.assertEqual(len(scored.collect()), 800)
        workers = [[line.split() for line in note.read_text(encoding="utf-8").splitlines()] for note in notes.iterdir()]
        self.assertEqual(sum(map(len, workers)), 8)
        for tasks in workers:
            self.assertEqual(sum(int(opened) for opened, _ in tasks), 1)
            self.assertEqual({replicas for _, replicas in tasks}, {"1"})


class Files(SparkCase):
    def test_a_model_that_spark_distributes(self):
        path = self.folder / "shipped.tw"  # stays there: Spark's executors fetch it when they start
        shutil.copy(model(), path)
        session.sparkContext.addFile(str(path))
        rows = pairs(20)
        scored = tilewise.spark.score(self.frame(rows), "shipped.tw", "duplicate", id="id")
        self.assertEqual(self.answers(scored), command_line("duplicate", rows, "binary"))

    def test_a_worker_with_another_model_refuses(self):
        path = self.folder / "model.tw"
        shutil.copy(model(), path)
        scored = tilewise.spark.score(self.frame(pairs(20)), path, "duplicate", id="id")
        shutil.copy(model(precision="bf16"), path)
        with self.assertRaisesRegex(PySparkException, "another model"):
            scored.collect()

    def test_what_is_wrong_is_said_before_anything_runs(self):
        frame = self.frame(pairs(3))
        path = str(model())
        for error, says, call in (
                (tilewise.NotFoundError, "nowhere.tw", lambda: tilewise.spark.score(frame, "nowhere.tw", "duplicate")),
                (tilewise.UnknownNameError, "nothing", lambda: tilewise.spark.score(frame, path, "nothing")),
                (tilewise.UnknownNameError, "links", lambda: tilewise.spark.score(frame, path, "duplicate", left="links")),
                (tilewise.UnknownNameError, "key", lambda: tilewise.spark.score(frame, path, "duplicate", id="key")),
                (tilewise.InvalidArgumentError, "duplicate", lambda: tilewise.spark.score(frame, path, "duplicate", text="left")),
                (tilewise.InvalidArgumentError, "score",
                 lambda: tilewise.spark.score(frame.withColumnRenamed("id", "score"), path, "duplicate", id="score"))):
            with self.assertRaisesRegex(error, says):
                call()


class Deaths(SparkCase):
    """Answers go to files, as those of a job do."""

    def survive(self, find_victim):
        rows, marker = pairs(1500), self.folder / "killed"
        with unittest.mock.patch.object(tilewise.spark, "_answer", dying(str(marker), find_victim)):
            scored = tilewise.spark.score(self.frame(rows, partitions=6), model(), "duplicate", id="id")
        scored.write.parquet(str(self.folder / "scored"))
        self.assertTrue(marker.exists(), "nothing was killed")
        self.assertEqual(self.answers(session.read.parquet(str(self.folder / "scored"))), command_line("duplicate", rows, "binary"))

    def test_a_killed_executor(self):
        test = os.getpid()
        self.survive(lambda: executor_of_this_worker(test))

    def test_a_killed_python_worker(self):
        self.survive(os.getpid)


if __name__ == "__main__":
    main()
