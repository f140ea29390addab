"""GET /metrics, the page, /openapi.json and /v1/tasks of a running server: metrics_test.py TILEWISE."""
import base64
import hashlib
import json
import math
import re

from harness import Server, TestCase, eventually, infer_body, infer_path, main

MODEL = "multi_task-fp32"

# Prometheus' data model: https://prometheus.io/docs/concepts/data_model and .../exposition_formats
METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
LINE = re.compile(r'([^\s{]+)(?:\{((?:[^"}]|"(?:[^"\\\n]|\\[\\n"])*")*)\})? (\S+)\Z')
LABEL = re.compile(r'([^=,"]+)="((?:[^"\\\n]|\\[\\n"])*)"(?:,|\Z)')


class Family:
    def __init__(self, name, kind, about):
        self.name, self.kind, self.about = name, kind, about
        self.series = {}  # (name of the line, labels as sorted pairs) -> value


def parse(text):
    """A strict reader of the text format, version 0.0.4 -> families by name. Raises AssertionError."""
    assert text.endswith("\n"), "the last line must end"
    families, current, about = {}, None, {}
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            assert name not in about, f"two HELP lines: {line}"
            about[name] = words
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert METRIC_NAME.match(name), line
            assert kind in ("counter", "gauge", "histogram"), line
            assert name not in families, f"the lines of a family must stand together: {line}"
            current = families[name] = Family(name, kind, about.get(name))
        else:
            found = LINE.match(line)
            assert found, f"not a sample: {line!r}"
            name, labels, value = found[1], found[2] or "", float(found[3])
            read, end = [], 0
            for label in LABEL.finditer(labels):
                assert label.start() == end and LABEL_NAME.match(label[1]), line
                read.append((label[1], label[2]))
                end = label.end()
            assert end == len(labels), line
            assert len({key for key, _ in read}) == len(read), f"a label twice: {line}"
            suffixes = ("_bucket", "_sum", "_count") if current.kind == "histogram" else ("",)
            assert name in {current.name + suffix for suffix in suffixes}, f"{line} does not belong to {current.name}"
            key = name, tuple(sorted(read))
            assert key not in current.series, f"the same series twice: {line}"
            current.series[key] = value
    return families


def check_histogram(family):
    """Buckets are cumulative, end at +Inf, and agree with _count and _sum."""
    groups = {}
    for (name, labels), value in family.series.items():
        plain = tuple(pair for pair in labels if pair[0] != "le")
        group = groups.setdefault(plain, {"buckets": []})
        if name.endswith("_bucket"):
            group["buckets"].append((float(dict(labels)["le"]), value))
        else:
            group[name[len(family.name):]] = value
    for labels, group in groups.items():
        bounds, counts = zip(*group["buckets"], strict=True)
        assert list(bounds) == sorted(set(bounds)), f"{family.name}{labels}: bounds must grow"
        assert bounds[-1] == math.inf, f"{family.name}{labels}: no +Inf"
        assert list(counts) == sorted(counts), f"{family.name}{labels}: buckets must be cumulative"
        assert counts[-1] == group["_count"], f"{family.name}{labels}: +Inf {counts[-1]}, _count {group['_count']}"
        # What was counted lies between the bounds of its buckets.
        lowest = sum((count - before) * bound for bound, count, before in zip((0, *bounds), counts, (0, *counts)))
        highest = sum((count - before) * bound for bound, count, before in zip(bounds, counts, (0, *counts)) if count > before)
        assert lowest * (1 - 1e-9) <= group["_sum"] <= highest * (1 + 1e-9), f"{family.name}{labels}: {lowest} {group['_sum']} {highest}"


# https://prometheus.io/docs/practices/naming: what `promtool check metrics` complains about.
BASE_UNITS = {"seconds", "bytes", "ratio", "info"}
NOT_BASE_UNITS = {"milliseconds", "microseconds", "ms", "minutes", "hours", "kilobytes", "megabytes", "percent"}


def lint(family):
    words = family.name.split("_")
    assert family.about, f"{family.name} has no HELP"
    assert family.name == family.name.lower(), family.name
    assert (family.kind == "counter") == (words[-1] == "total"), f"{family.name}: counters, and only they, end in _total"
    assert family.kind == "histogram" or words[-1] not in ("sum", "count", "bucket"), family.name
    assert family.kind not in words, f"{family.name}: a name need not say the type"
    if family.name != "tilewise_backlog_milliseconds":  # for scalers of which many take whole numbers only
        assert not NOT_BASE_UNITS & set(words), f"{family.name}: not a base unit"
    for unit in BASE_UNITS & set(words):
        assert words[-1] == unit or words[-2:] == [unit, "total"], f"{family.name}: the unit comes last"


class Scrape:
    def __init__(self, server):
        response = server.call("GET", "/metrics")
        assert response.status == 200, response
        assert response.headers["content-type"].startswith("text/plain; version=0.0.4"), response
        self.text = response.body.decode()
        self.families = parse(self.text)

    def value(self, series, **labels):
        """Sum over the series that have these labels; 0 where there is none."""
        family = self.families.get(series) or self.families.get(re.sub(r"_(bucket|sum|count)\Z", "", series))
        return 0 if family is None else sum(value for (name, found), value in family.series.items()
                                            if name == series and labels.items() <= dict(found).items())


class Metrics(TestCase):
    FLAGS = ("--cache-mb", 1)

    def scrape(self):
        return Scrape(self.server)

    def after(self, settled):
        """A scrape for which settled(scrape) holds: calls are counted after their answers were sent."""
        scrapes = [self.scrape()]

        def look():
            scrapes.append(self.scrape())
            return settled(scrapes[-1])

        self.assertTrue(eventually(look), scrapes[-1].text)
        return scrapes[-1]

    def infer(self, *texts, task="tags"):
        return self.server.call("POST", infer_path(task), infer_body(*texts))

    def test_format_and_names(self):
        self.assertEqual(self.infer("where is my parcel").status, 200)
        self.assertEqual(self.server.call("POST", "/predict?task=intent", {"inputs": "hello"}).status, 200)
        families = self.scrape().families
        for family in families.values():
            lint(family)
            if family.kind == "histogram":
                check_histogram(family)
            if family.kind == "counter":
                self.assertTrue(all(value >= 0 for value in family.series.values()), family.name)

    def test_a_request_is_counted_once_and_its_time_is_split(self):
        before = self.scrape()
        self.assertEqual(self.infer("counted once", "and twice").status, 200)
        ours = {"protocol": "kserve", "model": MODEL, "task": "tags"}
        after = self.after(lambda scrape: scrape.value("tilewise_requests_total", code="ok", **ours) >
                           before.value("tilewise_requests_total", code="ok", **ours))

        def grown(name, **labels):
            return after.value(name, **labels) - before.value(name, **labels)

        self.assertEqual(grown("tilewise_requests_total", code="ok", **ours), 1)
        for part in ("duration", "queue", "tokenize", "compute"):
            self.assertEqual(grown(f"tilewise_request_{part}_seconds_count", **ours), 1, part)
        parts = sum(grown(f"tilewise_request_{part}_seconds_sum", **ours) for part in ("queue", "tokenize", "compute"))
        self.assertGreater(grown("tilewise_request_compute_seconds_sum", **ours), 0)
        self.assertLessEqual(parts, grown("tilewise_request_duration_seconds_sum", **ours))
        self.assertEqual(grown("tilewise_request_inputs_sum", **ours), 2)
        self.assertGreaterEqual(grown("tilewise_request_tokens_sum", **ours), 8)  # [CLS] a b [SEP] each, at least
        self.assertEqual(grown("tilewise_pass_tokens_sum"), grown("tilewise_request_tokens_sum", **ours))
        self.assertEqual(grown("tilewise_pass_sequences_sum"), 2)
        self.assertEqual(grown("tilewise_pass_duration_seconds_count"), grown("tilewise_pass_sequences_count"))
        # A replica is busy as long as its passes take.
        self.assertAlmostEqual(grown("tilewise_replica_busy_seconds_total"), grown("tilewise_pass_duration_seconds_sum"),
                               delta=0.01 + 0.5 * grown("tilewise_pass_duration_seconds_sum"))

    def test_the_cache(self):
        before = self.scrape()
        for _ in range(3):
            self.assertEqual(self.infer("the same again").status, 200)
        after = self.scrape()
        self.assertEqual(after.value("tilewise_cache_hits_total") - before.value("tilewise_cache_hits_total"), 2)
        self.assertEqual(after.value("tilewise_cache_misses_total") - before.value("tilewise_cache_misses_total"), 1)
        self.assertGreater(after.value("tilewise_cache_entries"), 0)
        self.assertGreater(after.value("tilewise_cache_bytes"), 0)

    def test_refusals_have_a_reason_and_clients_make_no_labels(self):
        before = self.scrape()
        self.assertEqual(self.infer("x", task="made-up-task").status, 404)
        self.assertEqual(self.server.call("POST", "/v2/models/made-up-model/infer", infer_body("x")).status, 404)
        self.assertEqual(self.server.call("POST", infer_path(), b"{").status, 400)

        def refused(scrape, reason):
            return scrape.value("tilewise_rejections_total", reason=reason) - before.value("tilewise_rejections_total", reason=reason)

        after = self.after(lambda scrape: refused(scrape, "not_found") >= 2 and refused(scrape, "invalid") >= 1)
        self.assertEqual((refused(after, "not_found"), refused(after, "invalid")), (2, 1))
        self.assertNotIn("made-up", after.text)

    def test_the_server_and_its_process(self):
        with self.server.connect() as connection:
            connection.call("GET", "/v2/health/live")
            scrape = self.scrape()
        self.assertEqual(scrape.value("tilewise_ready"), 1)
        self.assertEqual(scrape.value("tilewise_model_ready", model=MODEL), 1)
        self.assertGreaterEqual(scrape.value("tilewise_http_connections"), 2)
        self.assertAlmostEqual(scrape.value("process_resident_memory_bytes") / 1024, self.server.resident_kb(),
                               delta=0.5 * self.server.resident_kb())
        build, = scrape.families["tilewise_build_info"].series
        self.assertTrue(dict(build[1])["version"] and dict(build[1])["isa"])
        replicas = [dict(labels)["replica"] for _, labels in scrape.families["tilewise_replica_busy_seconds_total"].series]
        self.assertEqual(sorted(replicas), [str(i) for i in range(len(replicas))])
        for value in scrape.families["tilewise_replica_utilization_ratio"].series.values():
            self.assertTrue(0 <= value <= 1)


class Page(TestCase):
    def test_its_policy_lets_it_run_and_nothing_else(self):
        page = self.server.call("GET", "/")
        self.assertEqual(page.status, 200)
        self.assertEqual(page.headers["content-type"], "text/html; charset=utf-8")
        self.assertEqual(page.headers["x-content-type-options"], "nosniff")
        policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
        self.assertEqual(policy["default-src"], "'none'")
        self.assertEqual(policy["connect-src"], "'self'")
        text = page.body.decode()
        for tag in ("style", "script"):
            inline, = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.S)
            digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
            self.assertEqual(policy[f"{tag}-src"], f"'sha256-{digest}'")
        self.assertNotIn("unsafe", page.headers["content-security-policy"])

    def test_it_loads_nothing(self):
        text = self.server.call("GET", "/").body.decode()
        self.assertNotRegex(text, r"\b(src|srcset)=")
        self.assertNotRegex(text, r"(?i)@import|url\(|<iframe|<object|<embed|style=\"|\son[a-z]+=")
        for link in re.findall(r"<link[^>]*>", text):
            self.assertIn('href="data:', link)
        namespaces = {"http://www.w3.org/2000/svg"}  # names, which nobody fetches
        self.assertLessEqual(set(re.findall(r"https?://[\w./]+", text)), namespaces)

    def test_tasks(self):
        about = self.server.call("GET", "/v1/tasks").json()
        self.assertTrue(about["ready"])
        self.assertGreaterEqual(about["replicas"], 1)
        served, = about["models"]
        self.assertEqual((served["name"], served["ready"]), (MODEL, True))
        tasks = {task["task"]: task for task in served["tasks"]}
        self.assertEqual(set(tasks), {"duplicate", "intent", "tags", "urgency", "vector"})
        self.assertEqual(tasks["duplicate"]["fields"], ["title", "brand", "price"])
        self.assertEqual(tasks["duplicate"]["input"], "pair")
        self.assertAlmostEqual(tasks["duplicate"]["threshold"], 1 / (1 + math.exp(0.68)), places=6)
        self.assertEqual(tasks["intent"]["name"], MODEL + ".intent")
        self.assertEqual(tasks["intent"]["labels"][0], "order_status")
        self.assertIsNone(tasks["intent"]["threshold"])
        self.assertTrue(tasks["intent"]["out_of_scope"])

    def test_description_of_the_api(self):
        described = self.server.call("GET", "/openapi.json")
        self.assertEqual(described.headers["content-type"], "application/json")
        paths = json.loads(described.body)["paths"]
        for path in ("/metrics", "/openapi.json"):
            self.assertIn("get", paths[path])

    def test_other_methods(self):
        for path in ("/metrics", "/v1/tasks", "/openapi.json"):
            self.assertEqual(self.server.call("HEAD", path).status, 200)
            self.assertEqual(self.server.call("POST", path, b"").status, 405)


class Keys(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(environment={"TILEWISE_API_KEY": "open-sesame"})

    def test_only_what_tells_nothing_is_open(self):
        for path, status in (("/", 200), ("/openapi.json", 200), ("/metrics", 401), ("/v1/tasks", 401)):
            self.assertEqual(self.server.call("GET", path).status, status, path)
            self.assertEqual(self.server.call("GET", path, headers={"Authorization": "Bearer open-sesame"}).status, 200, path)
        self.assertEqual(self.server.call("GET", "/metrics", headers={"Authorization": "Bearer wrong"}).status, 401)


if __name__ == "__main__":
    main()
