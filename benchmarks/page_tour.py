"""A walk through the server's page in real Chromium: every tab, at desktop and at phone width, with screenshots.

The server is started with bundled models, and with a tiny model of series, trained in a minute on the tests' samples
(--models names others). At each width every tab is opened, something is
entered, and the answer waited for and checked; nothing may be wider than the window, nothing may be loaded from
elsewhere, and the browser may report no error. Then the first tabs are used with Tab, arrows and Enter alone.

Needs `pip install selenium`, and Chromium with its driver: `apt-get install chromium chromium-driver`.

    python benchmarks/page_tour.py screenshots [--models pos sentiment lm caption=runs/caption/model] [--reports runs]
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

WIDTHS = {"desktop": 1280, "phone": 390}
HEIGHTS = {"desktop": 900, "phone": 844}
BUNDLED = ("pos-en", "sentiment-en", "translate-en-de", "lm-en", "topics-en", "caption-en", "video-en")
ALL_TABS = "#nl-tabs [role=tab], #nl-tabs .overflow-dropdown button"
TINY = {"series": "series"}


class Visit(NamedTuple):
    """What is done in a tab.

    Args:
        tab: its title.
        text: what is typed, with Enter at the end; "" presses the first example instead.
        expected: stands in the answer.
    """

    tab: str
    text: str
    expected: str


VISITS = (
    Visit("Words", "Please book that flight to Paris!", "helping verb|verb"),
    Visit("Opinion", "The plot is dull, but the actors are a delight.", "The words that moved it"),
    Visit("Translate", "The old dog sleeps in the garden.", "Where each piece looked"),
    Visit("Write on", "The old man", "The old man"),
    Visit("Surprise", "The king of the country ate his bicycle in the year of the great war.", "Least expected"),
    Visit("Write about", "The film", "The film"),
    Visit("Pictures", "", "Where it looked"),
    Visit("Clips", "", "Which frames it looked at"),
    Visit("Series", "", "After the last step"),
    Visit("Look inside", "The old ferry leaves the harbour at six.", "The gates"),
    Visit("Reports", "", "Open it alone"),
)


def main() -> None:
    """Go through the page and print what was found; end with 1 if something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("screenshots", type=Path, help="folder for the pictures")
    parser.add_argument("--models", nargs="+", help="what `nlp-lstm serve` takes")
    parser.add_argument("--reports", type=Path, help="a folder of runs; default that of the tiny models")
    parser.add_argument("--seconds", type=float, default=60, help="to wait for each answer")
    parser.add_argument("--dark", action="store_true", help="in dark colours")
    arguments = parser.parse_args()
    arguments.screenshots.mkdir(parents=True, exist_ok=True)
    models, reports = arguments.models, arguments.reports
    if models is None:
        runs = tiny_runs()
        models = [*BUNDLED, *(f"{task}={folder / 'model'}" for task, folder in runs.items())]
        reports = reports or next(iter(runs.values())).parent
    faults: list[str] = []
    with serving(models, reports or Path("runs"), arguments.seconds) as address:
        for name in WIDTHS:
            with browsing(name, is_dark=arguments.dark) as driver:
                tour = Tour(driver, address, name, arguments)
                tour.walk()
                if name == "desktop":
                    tour.use_keys()
                faults += tour.faults
    print(f"\n{len(faults)} faults" + "".join(f"\n  {fault}" for fault in faults))
    sys.exit(1 if faults else 0)


# ---- the server


def tiny_runs() -> dict[str, Path]:
    """Train the tiny models of the tests; return their runs by task, in one folder."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    import samples

    folder = Path(tempfile.mkdtemp(prefix="page-tour-"))
    os.environ["NLP_LSTM_TESTS_FOLDER"] = tempfile.mkdtemp(prefix="page-tour-samples-")
    return {
        task: Path(shutil.copytree(getattr(samples, f"tiny_{name}_run")(), folder / task))
        for task, name in TINY.items()
    }


@contextmanager
def serving(models: Sequence[str], reports: Path, seconds: float) -> Iterator[str]:
    """Run a server; give its address once its models are open and its page is made."""
    import urllib.request

    command = [sys.executable, "-m", "nlp_lstm", "serve", *models, "--port", "0", "--reports", str(reports)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([*command, "--deadline", str(seconds)], stderr=log)
        try:
            address = ""
            for _ in range(1_200):
                time.sleep(0.25)
                if process.poll() is not None:
                    sys.exit("the server ended")
                try:
                    log.seek(0)
                    address = f"http://127.0.0.1:{json.loads(log.readline())['port']}"
                    urllib.request.urlopen(f"{address}/readyz").close()
                    if b"gradio_config" in urllib.request.urlopen(f"{address}/page/").read():
                        break
                except (OSError, ValueError):
                    continue
            yield address
            process.terminate()
            began = time.perf_counter()
            code = process.wait(60)
            print(f"the server ended with {code} after {time.perf_counter() - began:.1f} s")
            log.seek(0)
            written = log.read().decode()
            if any(visit.text and visit.text in written for visit in VISITS):
                sys.exit("a text stands in the server's log")
        finally:
            process.kill()
            process.wait()


# ---- the browser


@contextmanager
def browsing(name: str, *, is_dark: bool) -> Iterator[webdriver.Chrome]:
    """Give a Chromium of the width of a desktop or a phone."""
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium") or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        metrics = {"width": WIDTHS[name], "height": HEIGHTS[name], "deviceScaleFactor": 1, "mobile": name == "phone"}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        yield driver
    finally:
        driver.quit()


class Tour:
    """A walk through the page at one width.

    Args:
        driver: the browser.
        address: of the server.
        name: of the width.
        arguments: of the command line.
    """

    def __init__(self, driver: webdriver.Chrome, address: str, name: str, arguments: argparse.Namespace) -> None:
        self._driver, self._address, self._name = driver, address, name
        self._folder, self._seconds = arguments.screenshots, arguments.seconds
        self._suffix = "-dark" if arguments.dark else ""
        self.faults: list[str] = []

    def walk(self) -> None:
        """Open the page, and each of its tabs."""
        self._driver.get(f"{self._address}/")
        self._wait(lambda: self._find("textarea"), "the page is shown")
        titles = self._titles()
        known = {visit.tab: visit for visit in VISITS}
        for title in titles:
            if title not in known:
                self._fault(f"no visit is planned for the tab {title}")
                continue
            began = time.perf_counter()
            self._visit(known[title])
            print(f"{self._name}: {title}, {time.perf_counter() - began:.1f} s", flush=True)
        self._check_errors()

    def use_keys(self) -> None:
        """Ask by keyboard alone: Tab into the box, text, Enter; Tab to an example, Enter; along the tabs by arrows."""
        self._driver.get(f"{self._address}/")
        self._wait(lambda: self._find("textarea"), "the page is shown")
        for _ in range(40):
            self._press(Keys.TAB)
            if self._driver.execute_script("return document.activeElement.tagName") == "TEXTAREA":
                break
        else:
            self._fault("Tab does not lead into the box")
        self._press("Dogs bark loudly.", Keys.ENTER)
        self._wait(lambda: "adverb" in self._answer(), "Enter asks")
        for _ in range(10):
            self._press(Keys.TAB)
            found = self._driver.execute_script(
                "const at = document.activeElement; return at.closest('.nl-examples') ? at.innerText : ''"
            )
            if found:
                break
        else:
            self._fault("Tab does not lead to the examples")
        self._shoot("keys-example")
        self._press(Keys.ENTER)
        self._wait(lambda: "flight" in self._answer(), "Enter on an example asks")
        first = self._selected()
        self._driver.execute_script("arguments[0].focus()", self._tab(first))
        self._press(Keys.ARROW_RIGHT)
        self._wait(lambda: self._selected() != first, "an arrow leads to the next tab")
        second = self._selected()
        self._press(Keys.TAB)
        self._press(Keys.ENTER)
        self._wait(lambda: self._selected() not in (first, second), "Tab and Enter lead to the next tab")
        self._shoot("keys-tab")
        print(f"{self._name}: by keyboard, from {first} to {second} and {self._selected()}", flush=True)
        self._check_errors()

    def _visit(self, visit: Visit) -> None:
        self._open(visit.tab)
        self._check_width(visit.tab)
        if visit.tab == "Words":
            self._shoot("start")
        if visit.text:
            box = self._wait(lambda: self._find("textarea"), f"{visit.tab} has a box")
            box.clear()
            box.send_keys(visit.text, Keys.ENTER)
        else:
            example = ".nl-report summary" if visit.tab == "Reports" else ".nl-examples button"
            self._click(self._wait(lambda: self._find(example), f"{visit.tab} has something to click"))
        expected = visit.expected.split("|")
        self._wait(lambda: any(part in self._answer() for part in expected), f"{visit.tab} answers")
        if visit.tab.startswith("Write"):
            seen = {len(self._answer())}
            self._wait(lambda: seen.add(len(self._answer())) or not self._find(".nl-cursor"), "writing ends")
            if visit.tab == "Write on" and len(seen) < 3:
                self._fault(f"Write on: the text came at once and did not stream ({sorted(seen)} characters)")
        time.sleep(3 if visit.tab == "Reports" else 0.5)  # until what comes into the frame is drawn
        self._check_width(visit.tab)
        self._shoot(visit.tab.lower().replace(" ", "-"))

    def _titles(self) -> list[str]:
        """The tabs, those in the menu of a narrow window too."""
        script = (
            "return [...new Set([...document.querySelectorAll(arguments[0])]"
            ".map(tab => tab.textContent.trim()).filter(Boolean))]"
        )
        return list(self._driver.execute_script(script, ALL_TABS))

    def _open(self, title: str) -> None:
        if self._tab(title) is None:
            self._click(self._wait(lambda: self._find("#nl-tabs .overflow-menu > button"), "there is a menu of tabs"))
        self._click(self._wait(lambda: self._tab(title), f"there is a tab {title}"))
        self._wait(lambda: self._selected() == title, f"{title} is open")

    def _tab(self, title: str) -> Any:
        """The tab of that title; None where it cannot be seen. Gradio keeps another set of them to measure."""
        script = (
            "return [...document.querySelectorAll(arguments[0])]"
            ".filter(tab => tab.textContent.trim() === arguments[1] && tab.getClientRects().length"
            " && getComputedStyle(tab).visibility !== 'hidden' && !tab.closest('[aria-hidden=true]'))[0]"
        )
        return self._driver.execute_script(script, ALL_TABS, title)

    def _selected(self) -> str:
        script = "return document.querySelector('#nl-tabs [role=tab][aria-selected=true]')?.textContent.trim() ?? ''"
        return str(self._driver.execute_script(script))

    def _answer(self) -> str:
        script = (
            "return [...document.querySelectorAll('.nl-out')].filter(out => out.getClientRects().length)"
            ".map(out => out.innerText).join('\\n')"
        )
        return str(self._driver.execute_script(script))

    def _find(self, selector: str) -> Any:
        """The first visible element; None where there is none."""
        script = "return [...document.querySelectorAll(arguments[0])].filter(found => found.getClientRects().length)[0]"
        return self._driver.execute_script(script, selector)

    def _click(self, element: Any) -> None:
        self._driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        try:
            element.click()
        except WebDriverException as error:
            self._fault(f"something cannot be clicked: {error.msg}")

    def _press(self, *keys: str) -> None:
        ActionChains(self._driver).send_keys(*keys).perform()

    def _wait(self, found: Callable[[], Any], what: str) -> Any:
        """Return what is found in time; else note a fault, and end the walk."""
        end = time.monotonic() + self._seconds
        while time.monotonic() < end:
            try:
                if value := found():
                    return value
            except StaleElementReferenceException:
                pass
            time.sleep(0.1)
        self._shoot("fault")
        self._check_errors()
        print(*self.faults, sep="\n")
        raise SystemExit(f"{self._name}: not within {self._seconds:g} s: {what}; the answer is {self._answer()!r}")

    def _shoot(self, what: str) -> None:
        picture = self._driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        path = self._folder / f"{self._name}-{what}{self._suffix}.png"
        path.write_bytes(base64.b64decode(picture["data"]))

    def _check_width(self, where: str) -> None:
        """Note what is wider than the window."""
        script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        over = self._driver.execute_script(script)
        if over > 0:
            self._fault(f"{where} is {over} pixels wider than the window")

    def _check_errors(self) -> None:
        """Note what the browser complained of, and what it loaded from elsewhere."""
        for line in self._driver.get_log("browser"):  # type: ignore[no-untyped-call]
            if line["level"] == "SEVERE":
                self._fault(f"the browser says: {line['message']}")
        script = "return performance.getEntriesByType('resource').map(entry => entry.name)"
        for name in self._driver.execute_script(script):
            if not name.startswith((self._address, "data:", "blob:")):
                self._fault(f"something was loaded from elsewhere: {name}")

    def _fault(self, what: str) -> None:
        self.faults.append(f"{self._name}: {what}")


if __name__ == "__main__":
    main()
