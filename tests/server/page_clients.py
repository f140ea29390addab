"""The page at "/" in Debian's Chromium, at desktop and phone width: page_clients.py TILEWISE.

With TILEWISE_SCREENSHOTS=DIRECTORY it leaves pictures there, for people to look at."""
import os
import pathlib
import shutil
import sys
import threading
import time
import unittest

from harness import PATIENCE, SKIPPED, Server, infer_body, infer_path, main

CHROMIUM = shutil.which("chromium")
try:
    from playwright.sync_api import sync_playwright
except ImportError as missing:
    print(f"skipped: {missing}; see tests/requirements.txt")
    sys.exit(SKIPPED)
if CHROMIUM is None:
    print("skipped: there is no chromium")
    sys.exit(SKIPPED)

DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
KEY = "open-sesame"


class Load:
    """Some requests a second, so that the charts have something to show."""

    def __init__(self, server, headers=()):
        self.server, self.headers, self.over = server, dict(headers), threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        with self.server.connect() as connection:
            while not self.over.wait(0.01):
                connection.call("POST", infer_path("tags"), infer_body("where is my parcel"), self.headers)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


class PageTest(unittest.TestCase):
    ENVIRONMENT = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server("--cache-mb", 1, environment=cls.ENVIRONMENT)
        cls.addClassCleanup(cls.server.stop)
        cls.playwright = sync_playwright().start()
        cls.addClassCleanup(cls.playwright.stop)
        cls.browser = cls.playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        cls.addClassCleanup(cls.browser.close)

    def open(self, size, scheme="light"):
        """The page, with what it says on the console and asks of whom in self.console and self.hosts."""
        context = self.browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce", device_scale_factor=1)
        self.addCleanup(context.close)
        context.set_default_timeout(PATIENCE * 1000)
        page = context.new_page()
        self.console, self.hosts = [], set()
        page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.console.append(f"exception: {error}"))
        page.on("request", lambda request: request.url.startswith("data:") or self.hosts.add(request.url.split("/")[2]))
        page.goto(self.server.url + "/")
        return page

    def until(self, page, expression, arg=None):
        """Waits until the expression, or the function of `arg`, is true. (Playwright's own way would need eval in the page.)"""
        end = time.monotonic() + PATIENCE
        while not page.evaluate(expression, arg):
            self.assertLess(time.monotonic(), end, expression)
            page.wait_for_timeout(50)

    def assertQuiet(self, allowed=()):
        self.assertEqual([line for line in self.console if not any(part in line for part in allowed)], [])
        self.assertEqual(self.hosts, {f"127.0.0.1:{self.server.port}"})

    def assertFits(self, page):
        """Nothing is wider than the window."""
        self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), page.viewport_size["width"])

    def picture(self, page, name):
        if folder := os.environ.get("TILEWISE_SCREENSHOTS"):
            page.screenshot(path=str(pathlib.Path(folder) / f"{name}.png"), full_page=True)


class Use(PageTest):
    def classify(self, page):
        page.wait_for_selector("#state[data-state=ready]")
        page.get_by_label("Query", exact=True).fill("where is my parcel")  # answers come as it is typed
        answer = page.locator("#query-answers section").first
        answer.wait_for()
        names = answer.locator(".score .name").all_inner_texts()
        self.assertEqual(set(names), {"order_status", "refund", "product_search", "small_talk", "other"})
        shares = [float(text.replace("%", "")) for text in answer.locator(".score .number").all_inner_texts()]
        self.assertEqual(shares, sorted(shares, reverse=True))
        self.assertAlmostEqual(sum(shares), 100, delta=1.5)  # five numbers, each rounded
        widths = answer.locator(".score .fill").evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().width)")
        self.assertEqual(widths, sorted(widths, reverse=True))
        legend = answer.locator(".legend").inner_text()
        for part in ("network", "queue", "tokenize", "compute", "total"):
            self.assertIn(part, legend)
        # The numbers are the server's.
        direct = self.server.call("POST", "/predict", {"task": "intent", "inputs": "where is my parcel"}).json()
        self.assertEqual([one["label"] for one in direct], names)
        self.assertAlmostEqual(100 * direct[0]["score"], shares[0], delta=0.51)

    def choose_more_tasks(self, page):
        page.get_by_role("checkbox", name="tags").check()
        page.get_by_role("checkbox", name="urgency").check()
        page.locator("#query-answers section").nth(2).wait_for()
        self.assertEqual(page.locator("#query-answers h3").all_inner_texts(), ["intent", "tags", "urgency"])
        self.assertGreater(page.locator("#query-answers .mark").count(), 0)

    def compare(self, page):
        page.get_by_role("button", name="Fill in an example").click()
        page.locator("#pair-answers .verdict").wait_for()
        left = {name: page.locator(f"#left-{name}").input_value() for name in ("title", "brand", "price")}
        right = {name: page.locator(f"#right-{name}").input_value() for name in ("title", "brand", "price")}
        one, = self.server.call("POST", "/predict", {"task": "duplicate", "inputs": [left, right], "truncate": True}).json()
        threshold = self.threshold()
        self.assertEqual(page.locator("#pair-answers .verdict").inner_text(), "duplicate" if one["score"] >= threshold else "not duplicate")
        shown = page.locator("#pair-answers .number").inner_text()
        self.assertAlmostEqual(float(shown.replace("%", "")), 100 * one["score"], delta=0.51)
        mark = page.locator("#pair-answers .mark").evaluate("mark => parseFloat(mark.style.left)")
        self.assertAlmostEqual(mark, 100 * threshold, places=2)
        # Another record, by hand.
        page.locator("#right-title").fill("A garden hose")
        page.get_by_role("button", name="Compare").click()
        other, = self.server.call("POST", "/predict", {"task": "duplicate", "inputs": [left, {**right, "title": "A garden hose"}], "truncate": True}).json()
        expected = f"{100 * other['score']:.{0 if other['score'] >= 0.0995 else 1}f} %"
        self.until(page, "text => document.querySelector('#pair-answers .number')?.innerText === text", arg=expected)

    def threshold(self):
        tasks = self.server.call("GET", "/v1/tasks").json()["models"][0]["tasks"]
        return next(task for task in tasks if task["task"] == "duplicate")["threshold"]

    def watch(self, page):
        drawn = "document.querySelector('#rate path:not(.area)').getAttribute('d')"
        self.until(page, "document.querySelector('#rate path:not(.area)')?.getAttribute('d').includes('L')")
        first = page.evaluate(drawn)
        self.until(page, f"first => {drawn} !== first", arg=first)
        self.until(page, "parseFloat(document.querySelector('#rate .now').innerText) > 0")
        self.until(page, "parseFloat(document.querySelector('#latency .p99').innerText) > 0")
        self.assertGreaterEqual(page.locator("#cores li").count(), 1)
        self.assertIn("Requests a second", page.locator("#rate svg").get_attribute("aria-label"))
        self.assertRegex(page.locator("#facts").inner_text(), r"(?s)backlog.*memory")

    def use(self, size, name, scheme):
        with Load(self.server):
            page = self.open(size, scheme)
            self.classify(page)
            self.choose_more_tasks(page)
            self.compare(page)
            self.watch(page)
            self.assertFits(page)
            if os.environ.get("TILEWISE_SCREENSHOTS"):
                page.wait_for_timeout(20000)  # a chart worth looking at
            self.picture(page, name)
        self.assertQuiet()

    def test_desktop(self):
        self.use(DESKTOP, "desktop", "light")

    def test_phone(self):
        self.use(PHONE, "phone", "dark")

    def test_keyboard_and_labels(self):
        page = self.open(DESKTOP)
        page.wait_for_selector("#state[data-state=ready]")
        unnamed = page.evaluate("""[...document.querySelectorAll("input, textarea, select")].filter(field => !field.labels.length).length""")
        self.assertEqual(unnamed, 0)
        page.get_by_label("Query", exact=True).focus()
        page.keyboard.type("refund")
        page.keyboard.press("Enter")
        page.locator("#query-answers section").first.wait_for()
        self.assertEqual(page.evaluate("document.activeElement.id"), "query", "the focus stays where it is")
        page.keyboard.press("Tab")
        self.assertNotEqual(page.evaluate("getComputedStyle(document.activeElement).outlineStyle"), "none")
        self.assertQuiet()

    def test_errors_are_told_in_words(self):
        page = self.open(DESKTOP)
        page.wait_for_selector("#state[data-state=ready]")
        page.get_by_role("checkbox", name="intent").uncheck()
        page.get_by_label("Query", exact=True).fill("x")
        self.until(page, "document.querySelector('#query-error').innerText.includes('Choose a task')")
        page.get_by_role("checkbox", name="intent").check()
        page.locator("#query-answers section").first.wait_for()
        self.assertEqual(page.locator("#query-error").inner_text(), "")
        page.route("**/predict", lambda route: route.fulfill(
            status=429, headers={"retry-after": "3"}, json={"error": "the queue is full", "error_type": "Overloaded"}))
        page.get_by_role("button", name="Classify").click()
        self.until(page, "document.querySelector('#query-error').innerText === 'the queue is full. Ask again in 3 s.'")
        page.route("**/metrics", lambda route: route.abort())
        self.until(page, "document.querySelector('#live-error').innerText === 'The server does not answer.'")
        self.picture(page, "errors")
        page.unroute("**/metrics")
        self.until(page, "document.querySelector('#live-error').innerText === ''")
        self.assertQuiet(allowed=["status of 429", "net::ERR_FAILED"])

    def test_text_that_is_cut(self):
        page = self.open(DESKTOP)
        page.wait_for_selector("#state[data-state=ready]")
        page.get_by_label("Query", exact=True).fill("parcel " * 100)
        page.get_by_text("The text was cut to the 40 tokens").wait_for()
        self.assertQuiet()


class Keys(PageTest):
    ENVIRONMENT = {"TILEWISE_API_KEY": KEY}.items()

    def test_asks_for_the_key_and_forgets_it(self):
        with Load(self.server, {"Authorization": f"Bearer {KEY}"}):
            page = self.open(PHONE)
            page.get_by_label("API key").wait_for()
            self.picture(page, "key")
            page.get_by_label("API key").fill("wrong")
            page.keyboard.press("Enter")
            self.until(page, "document.querySelector('#key-error').innerText === 'The server does not know this key.'")
            page.get_by_label("API key").fill(KEY)
            page.get_by_role("button", name="Use this key").click()
            page.locator("#key-card").wait_for(state="hidden")
            page.wait_for_selector("#state[data-state=ready]")
            page.get_by_label("Query", exact=True).fill("where is my parcel")
            page.locator("#query-answers section").first.wait_for()
            self.until(page, "parseFloat(document.querySelector('#rate .now')?.innerText) > 0")
        self.assertNotIn(KEY, page.content())
        self.assertEqual(page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]"), [0, 0, ""])
        page.reload()
        page.get_by_label("API key").wait_for()
        self.assertQuiet(allowed=["status of 401"])


if __name__ == "__main__":
    main()
