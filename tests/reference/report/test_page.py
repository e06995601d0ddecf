"""The page: what it says, and, in a real browser, what it does not do."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from typing import NamedTuple

import pytest

from scratchproof.report.files import check_target, write
from scratchproof.report.index import Submission, index_page
from scratchproof.report.page import fragment, page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
HOSTILE = (
    '</title></style></script></code><script>document.title = "owned"</script>'
    "<img src=http://192.0.2.1/x.png onerror=\"document.title='owned'\">\x1b[31m\u202e\udc80 [bold]'\" &lt;"
)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--dump-dom"),
    *("--virtual-time-budget=2000", "--proxy-server=http://127.0.0.1:9"),  # nothing gets out of this machine
)
THE_BROWSERS_OWN = '"initiator":"not an origin"'


class Seen(NamedTuple):
    """What a browser made of a page: its document, what it wrote to the console, and what it asked for."""

    dom: str
    console: list[str]
    requests: set[str]


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs


def browse(folder, text):
    file, log = folder / "page.html", folder / "net.json"
    file.write_text(text, encoding="utf-8")
    places = [f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", file.as_uri()]
    found = subprocess.run([CHROMIUM, *FLAGS, *places], capture_output=True, text=True, timeout=120)
    console = [line for line in found.stderr.splitlines() if ":CONSOLE" in line]
    asked = [line for line in log.read_text().splitlines() if '"initiator"' in line and THE_BROWSERS_OWN not in line]
    return Seen(found.stdout, console, {re.search(r'"url":"([^"]*)"', line)[1] for line in asked})


@pytest.fixture
def hostile(sample):
    grid = {"shape": [2, 3], "rows": [[0, 0.5, 9.0], [None, 1e14, 0]], "tile": [0, 0]}
    wrong = sample.result(
        quantity=HOSTILE,
        verdict="FAIL",
        message=HOSTILE,
        cause=HOSTILE,
        grid=grid,
        reproducer=HOSTILE,
        severity="value",
    )
    return sample.document(
        sample.report(HOSTILE, sample.result(), wrong, verdict="FAIL"),
        sample.report("tanh", sample.result()),
        subject=HOSTILE,
        environment={"torch": HOSTILE, "python": HOSTILE},
    )


@pytest.mark.parametrize("make", [page, fragment])
def test_nothing_in_the_document_becomes_markup(hostile, make):
    found = Tags(make(hostile))
    assert found.tags.count("script") == (1 if make is page else 0)
    assert "img" not in found.tags
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert not [value for name, value in found.attributes if name in ("src", "href") and "192.0.2.1" in value]
    assert all(c.isprintable() or c == "\n" for c in make(hostile))


def test_what_was_found_is_on_the_page(sample):
    grid = {"shape": [2, 3], "rows": [[0, 0.5, 9.0], [None, 1e14, 0]], "tile": [0, 0]}
    wrong = sample.result(
        quantity="dx", verdict="FAIL", severity="value", message="relu dx: got 1", cause="it is twice the right result",
        grid=grid, reproducer="import numpy as np\nx = 1 < 2", error=1.5, allowed=1e-15,
    )  # fmt: skip
    text = page(sample.document(sample.report("relu", sample.result(), wrong, verdict="FAIL")))
    for told in (
        "relu dx: got 1",
        "it is twice the right result",
        "x = 1 &lt; 2",
        "3 of 6 squares",
        "1.5e+00 of 1.0e-15",
    ):
        assert told in text
    assert 'class="odd"' in text


def test_a_fragment_leaves_the_page_around_it_alone(hostile):
    text = fragment(hostile)
    assert not {name for name, _ in Tags(text).attributes} & {"id", "href"}
    style = re.sub(r"@media[^{]*", "", re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1])
    selectors = [part for rule in re.findall(r"([^{}]+)\{", style) for part in rule.split(",")]
    assert all(selector.strip().startswith(".sp") for selector in selectors if selector.strip())


def test_the_page_is_known_again_as_ours(hostile, tmp_path):
    for number, text in enumerate((page(hostile), index_page([]))):
        write(tmp_path / f"{number}.html", text)
        check_target(tmp_path / f"{number}.html")


@browser
@pytest.mark.parametrize("kind", ["page", "index"])
def test_in_a_browser_the_page_is_quiet_asks_for_nothing_and_keeps_text_text(hostile, tmp_path, kind):
    rows = [Submission(name=HOSTILE, page=HOSTILE, problem=HOSTILE, verdicts={HOSTILE: "FAIL"})]
    seen = browse(tmp_path, page(hostile) if kind == "page" else index_page(rows, title=HOSTILE))
    assert seen.console == []
    assert seen.requests == set()
    found = Tags(seen.dom)
    assert found.tags.count("script") == 1
    assert "img" not in found.tags
    assert "<title>owned" not in seen.dom
    if kind == "page":
        assert "hidden" not in re.search(r"<button[^>]*>", seen.dom)[0]  # the page's own script did run


@browser
def test_the_browser_would_tell(hostile, tmp_path):
    policy = r'<meta http-equiv="Content-Security-Policy"[^>]*>'
    planted = "<script>console.error('planted')</script><img src='http://192.0.2.1/x.png'>"
    text = re.sub(policy, "", page(hostile)).replace("<main", f"{planted}<main")
    seen = browse(tmp_path, text)
    assert any("planted" in line for line in seen.console)
    assert "http://192.0.2.1/x.png" in seen.requests
    with_policy = browse(tmp_path, page(hostile).replace("<main", f"{planted}<main"))
    assert "http://192.0.2.1/x.png" not in with_policy.requests
    assert not any("planted" in line and "Content Security" not in line for line in with_policy.console)
