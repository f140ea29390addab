#!/usr/bin/env python3
"""tilewise.ray on a real Ray with two CPUs on this machine: ray_clients.py TILEWISE

Needs the package with ray installed (tests/requirements.txt); exits 77 where something is missing."""
import logging
import os
import pathlib
import shutil
import signal
import sys
import unittest.mock

import clusters
from clusters import SKIPPED, TEXT_TASKS, TestCase, by_id, command_line, first, main, model, pairs, texts

try:
    import pyarrow
    import ray
    import ray.data
    import tilewise.ray
except ImportError as missing:
    print(f"skipped: {missing}; see tests/requirements.txt")
    sys.exit(SKIPPED)

ray.cloudpickle.register_pickle_by_value(clusters)  # actors have the package, not its tests
RECORD = pyarrow.struct([(name, pyarrow.string()) for name in ("title", "brand", "price")])
PAIRS = pyarrow.schema([("id", pyarrow.string()), ("left", RECORD), ("right", RECORD)])
TEXTS = pyarrow.schema([("id", pyarrow.string()), ("text", pyarrow.string())])


def dying(marker):
    """The actor's class; one of the actors kills itself, once, when it has answered its second batch."""

    class Dying(tilewise.ray._Actor):
        calls = 0

        def __call__(self, rows):
            answers = super().__call__(rows)
            self.calls += 1
            if self.calls == 2 and first(marker):
                os.kill(os.getpid(), signal.SIGKILL)
            return answers

    return Dying


def setUpModule():
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False,
             object_store_memory=200 << 20, _temp_dir=str(clusters.workplace() / "ray"))
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def tearDownModule():
    ray.shutdown()


class RayCase(TestCase):
    def dataset(self, rows, schema=PAIRS, blocks=4):
        return ray.data.from_arrow(pyarrow.Table.from_pylist(rows, schema=schema)).repartition(blocks)

    def answers(self, scored):
        return by_id(self, [row for table in scored.iter_batches(batch_format="pyarrow", batch_size=None) for row in table.to_pylist()])


class Answers(RayCase):
    def test_same_as_the_command_line_however_it_is_cut(self):
        rows = pairs(1000)
        expected = command_line("duplicate", rows, "binary")
        for blocks, batch_size in ((1, 4096), (2, 77), (13, 50)):
            dataset = self.dataset(rows, blocks=blocks)
            scored = tilewise.ray.score(dataset, model(), "duplicate", left="left", right="right", id="id", batch_size=batch_size)
            self.assertEqual(self.answers(scored), expected)

    def test_every_kind_of_task(self):
        rows = texts(60)
        for task, kind in TEXT_TASKS.items():
            top = 0 if kind == "multiclass" else 1
            found = self.answers(tilewise.ray.score(self.dataset(rows, TEXTS), model(), task, id="id", top=top, logits=kind != "embedding"))
            self.assertEqual(found, command_line(task, rows, kind, *["--logits"] * (kind != "embedding"), top=top))

    def test_bad_rows_and_empty_blocks(self):
        rows = pairs(40)
        for row in rows[::7]:
            row["left"] = None
        found = self.answers(tilewise.ray.score(self.dataset(rows, blocks=60), model(), "duplicate", id="id"))
        bad = {key: row for key, row in found.items() if row["error"] is not None}
        self.assertEqual(set(bad), {row["id"] for row in rows[::7]})
        self.assertEqual({(row["score"], row["label"]) for row in bad.values()}, {(None, None)})
        self.assertEqual({key: row for key, row in found.items() if key not in bad}, command_line("duplicate", rows, "binary"))

    def test_files_in_files_out(self):
        rows = pairs(300)
        self.dataset(rows).write_parquet(str(self.folder / "pairs"))
        scored = tilewise.ray.score(ray.data.read_parquet(str(self.folder / "pairs")), model(), "duplicate", id="id")
        scored.write_parquet(str(self.folder / "scored"))
        self.assertEqual(self.answers(ray.data.read_parquet(str(self.folder / "scored"))), command_line("duplicate", rows, "binary"))

    def test_an_actor_with_another_model_refuses(self):
        path = self.folder / "model.tw"
        shutil.copy(model(), path)
        scored = tilewise.ray.score(self.dataset(pairs(20)), path, "duplicate", id="id")
        shutil.copy(model(precision="bf16"), path)
        with self.assertRaisesRegex(Exception, "another model"):
            scored.materialize()

    def test_what_is_wrong_is_said_before_anything_runs(self):
        dataset = self.dataset(pairs(3))
        for error, says, call in (
                (tilewise.NotFoundError, "nowhere.tw", lambda: tilewise.ray.score(dataset, "nowhere.tw", "duplicate")),
                (tilewise.UnknownNameError, "nothing", lambda: tilewise.ray.score(dataset, model(), "nothing")),
                (tilewise.InvalidArgumentError, "intent", lambda: tilewise.ray.score(dataset, model(), "intent", left="left"))):
            with self.assertRaisesRegex(error, says):
                call()


class Deaths(RayCase):
    def test_a_killed_actor(self):
        rows, marker = pairs(1500), self.folder / "killed"
        with unittest.mock.patch.object(tilewise.ray, "_Actor", dying(str(marker))):
            scored = tilewise.ray.score(self.dataset(rows, blocks=6), model(), "duplicate", id="id", batch_size=50)
        scored.write_parquet(str(self.folder / "scored"))
        self.assertTrue(pathlib.Path(marker).exists(), "nothing was killed")
        self.assertEqual(self.answers(ray.data.read_parquet(str(self.folder / "scored"))), command_line("duplicate", rows, "binary"))


if __name__ == "__main__":
    main()
