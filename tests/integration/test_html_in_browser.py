"""The HTML report as a real browser sees it."""

import pytest
from msgspec import structs
from support import browser, reports

from updater.report import diff_html

pytestmark = browser.needed
NAMES = ["full", "hostile", "large", "report"]


@pytest.fixture
def url(tmp_path, request):
    file = tmp_path / "report.html"
    file.write_text(diff_html.page_of(getattr(reports, request.param)()))
    return file.as_uri()


@pytest.mark.parametrize("url", NAMES, indirect=True)
def test_the_page_fits_a_phone_says_nothing_and_asks_for_nothing(url):
    with browser.open_page(url, width=360) as page:
        page.evaluate(
            "document.querySelectorAll('details').forEach(d => d.open = true)"
        )
        assert page.overflow() == [0, []]
        assert page.messages == []
        assert page.requests == [url]
        assert page.evaluate("document.title") != "owned"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("url", ["full"], indirect=True)
def test_every_word_can_be_read(url, dark):
    with browser.open_page(url, dark=dark) as page:
        page.evaluate(
            "document.querySelectorAll('details').forEach(d => d.open = true)"
        )
        assert page.hard_to_read() == []
        back = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (back == "rgb(251, 251, 252)") is not dark


def test_on_paper_every_danger_and_every_fix_is_there(tmp_path):
    danger, advisory = reports.full().attention[0], reports.full().security[0]
    many = structs.replace(
        reports.full(),
        attention=tuple(structs.replace(danger, path=b"%d" % n) for n in range(9)),
        security=(structs.replace(advisory, fixes=advisory.fixes * 9),),
    )
    file = tmp_path / "report.html"
    file.write_text(diff_html.page_of(many))
    shown = (
        "[...document.querySelectorAll('.attention li, .advisory li')]"
        ".filter(row => row.checkVisibility()).length"
    )
    with browser.open_page(file.as_uri()) as page:
        assert page.evaluate(shown) == diff_html.FEW + diff_html.FIXES
        page.call("Emulation.setEmulatedMedia", media="print")
        assert page.evaluate(shown) == 9 + 9


@pytest.mark.parametrize("url", ["full"], indirect=True)
def test_attention_is_what_one_sees_first(url):
    with browser.open_page(url, width=360, height=740) as page:
        assert page.evaluate(
            "document.querySelector('.facts li').innerText"
        ).startswith("4")
        first = page.evaluate("document.querySelector('main section').id")
        assert first == "attention"
        top = page.evaluate(
            "document.getElementById('attention').getBoundingClientRect().top"
        )
        assert top < 740


@pytest.mark.parametrize("url", ["large"], indirect=True)
def test_the_list_of_files_can_be_searched(url):
    shown = (
        "[...document.querySelectorAll('#files tbody tr')]"
        ".filter(row => row.checkVisibility()).length"
    )
    with browser.open_page(url) as page:
        assert page.evaluate(shown) == 0  # directories are closed
        page.evaluate(
            "const box = document.getElementById('filter');"
            "box.value = 'doc/package-7/'; box.dispatchEvent(new Event('input'))"
        )
        assert page.evaluate(shown) == 5000 // 300 + 1
        assert page.evaluate("document.getElementById('found').innerText") == "17 found"
        page.evaluate("box.value = ''; box.dispatchEvent(new Event('input'))")
        assert page.evaluate(shown) == 0
        assert page.messages == []


@pytest.mark.parametrize("url", ["large"], indirect=True)
def test_without_javascript_the_search_is_not_shown_and_the_files_are(url):
    with browser.open_page("about:blank") as page:
        page.call("Emulation.setScriptExecutionDisabled", value=True)
        page.load(url)
        page.call("DOM.enable")
        root = page.call("DOM.getDocument", depth=0)["root"]["nodeId"]

        def box(selector):
            found = page.call("DOM.querySelector", nodeId=root, selector=selector)
            node = found["nodeId"]
            return page.call("CSS.getComputedStyleForNode", nodeId=node)

        page.call("CSS.enable")
        styles = {
            selector: {
                one["name"]: one["value"] for one in box(selector)["computedStyle"]
            }
            for selector in (".find", "#files details")
        }
        assert styles[".find"]["display"] == "none"
        assert styles["#files details"]["display"] == "block"
