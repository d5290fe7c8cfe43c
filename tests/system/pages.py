"""The status pages in a real browser: without a complaint of its own, without a script of ours, by
keyboard, in both colour schemes and on a phone, with few sites and with many."""

import re

from lab import (Daemon, Dnsmasq, Nginx, Origin, answer, case, configuration, free_port, main)
from lab.browser import DARK, DESKTOP, LIGHT, PHONE, Browser
from lab.process import listens

MANY = 10000

# The contrast of a text with what is behind it, by WCAG 2.2's formula.
CONTRAST = """
(() => {
    const luminance = (text) => {
        const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((value) => {
            const c = value / 255;
            return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
        for (let e = element; e; e = e.parentElement) {
            const colour = getComputedStyle(e).backgroundColor;
            if (colour !== 'rgba(0, 0, 0, 0)' && colour !== 'transparent') { return colour; }
        }
        return 'rgb(255, 255, 255)';
    };
    const bad = [];
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
        if (!own || element.closest('svg')) { continue; }
        const a = luminance(getComputedStyle(element).color), b = luminance(ground(element));
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) { bad.push(element.outerHTML.slice(0, 80) + ' ' + contrast); }
    }
    return bad;
})()
"""


def served(lab, sites, defaults=None, **top):
    """(daemon, its address)."""
    port = free_port()
    daemon = Daemon(lab, configuration(sites, defaults,
                                       status={"listen": f"127.0.0.1:{port}"}, **top))
    daemon.wait_for(lambda: listens(port), "the status port open")
    return daemon, f"http://127.0.0.1:{port}"


def check(browser, base):
    """What holds of every page."""
    assert browser.complaints() == [], browser.complaints()
    outside = [url for url in browser.requested() if not url.startswith(base + "/")]
    assert outside == [], outside
    width, room = browser.value("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= room, f"{width} pixels wide, of {room}: {browser.value('location.href')}"
    poor = browser.value(CONTRAST)
    assert poor == [], poor
    nameless = [node for node in browser.call("Accessibility.getFullAXTree")["nodes"]
                if node.get("role", {}).get("value") in ("image", "link", "button", "searchbox")
                and not node.get("ignored") and not node.get("name", {}).get("value")]
    assert nameless == [], nameless


def few_sites(lab):
    """A good one, one of whose servers one in two fails, one that is gone, one with a name that is
    markup, and one that is paused."""
    nginx = Nginx(lab)
    dns = Dnsmasq(lab, {"shop.test": ["127.0.0.1", "127.0.0.2"]})
    bad = Origin(lab, answer(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nX-Served-By: b2\r\n\r\n"))
    sites = [
        {"name": "good", "url": nginx.url("/200"), "labels": {"team": "web"}},
        {"name": "shop", "url": f"http://shop.test:{nginx.port}/200", "samples": 20},
        {"name": "gone", "url": bad.url(), "backend": {"header": "X-Served-By"}},
        {"name": "<img src=http://192.0.2.1/x onerror=alert(1)>", "url": nginx.url("/204")},
        {"name": "off", "url": nginx.url("/404"), "enabled": False},
    ]
    daemon, base = served(lab, sites, {"interval": "800ms", "samples": 10, "spread": "0s"},
                          resolver={"servers": [dns.address]})
    for name in ("good", "shop", "gone"):
        daemon.wait_for_reports(4, name)
    return daemon, base


@case
def five_sites_are_shown_the_worst_first_without_a_complaint(lab):
    _, base = few_sites(lab)
    browser = Browser(lab)
    for size in (DESKTOP, PHONE):
        for scheme in (LIGHT, DARK):
            browser.open(base + "/", size, scheme)
            browser.keep_picture(f"sites-{size[0]}-{scheme}")
            check(browser, base)
            names = browser.value("[...document.querySelectorAll('tbody th a')].map(a => "
                                  "a.textContent)")
            assert len(names) == 5 and names[:2] == ["gone", "shop"] and names[4] == "off", names
            for name in names[:4]:
                browser.open(f"{base}/", size, scheme)
                browser.click(f"tbody tr:nth-child({names.index(name) + 1}) th a")
                browser.keep_picture(f"{re.sub('[^a-z]', '', name)[:4]}-{size[0]}-{scheme}")
                check(browser, base)
                assert browser.value("document.querySelector('h1').textContent") == name


@case
def a_page_tells_who_failed_and_how_to_see_it_again(lab):
    _, base = few_sites(lab)
    browser = Browser(lab)
    browser.open(base + "/site?name=shop")
    rows = browser.value("[...document.querySelectorAll('.matrix tbody tr')].map(r => "
                         "[...r.cells].map(c => c.textContent))")
    assert [row[0] for row in rows] == ["127.0.0.1", "127.0.0.2"], rows
    assert rows[0][1] == "·" and int(rows[1][1]) > 0, rows
    assert "curl " in browser.value("document.querySelector('.evidence code').textContent")
    browser.open(base + "/site?name=gone")
    assert browser.value("document.querySelector('.matrix tbody th').textContent") == "b2"
    words = browser.value("document.querySelector('.facts dd').textContent")
    assert re.fullmatch(r"(\d+) of \1 failed, [\d.]+ to 100 %", words), words


@case
def a_keyboard_reaches_each_round_and_its_tally(lab):
    _, base = few_sites(lab)
    browser = Browser(lab)
    browser.open(base + "/site?name=gone&still=1")
    seen = set()
    for _ in range(40):
        browser.press("Tab")
        seen.add(browser.value("""(() => {
            const words = document.activeElement.querySelector('span');
            return words && document.activeElement.matches('.cells li') &&
                words.getBoundingClientRect().width > 20 ? words.textContent : null;
        })()"""))
    told = [words for words in seen if words]
    # beside browsers its origin may have no time for it
    whole = r"round \d+, .*: 10 × 503; 10 of 10 failed"
    other = r"round \d+, .*: (\d+ × \w+(, )?)+; \d+ of \d+ failed"
    assert len(told) >= 4 and all(re.fullmatch(f"{whole}|{other}", words) for words in told), seen
    assert any(re.fullmatch(whole, words) for words in told), seen
    # who stands elsewhere sees no tally
    assert browser.value("[...document.querySelectorAll('.cells li:not(:focus) span')].every(s => "
                         "s.getBoundingClientRect().width < 2)")


@case
def a_page_refreshes_itself_until_it_is_told_not_to(lab):
    _, base = few_sites(lab)
    browser = Browser(lab)
    browser.open(base + "/?find=o")
    before = browser.value("document.querySelector('footer time').dateTime")
    after = len(browser.events)
    browser.wait_for_event("Page.loadEventFired", after, limit=60)
    assert browser.value("location.href") == base + "/?find=o"
    assert browser.value("document.querySelector('footer time').dateTime") > before
    browser.click("footer a")
    assert browser.value("location.search") == "?find=o&still=1"
    assert browser.value("document.querySelector('meta[http-equiv]')") is None


@case
def ten_thousand_sites_stay_usable(lab):
    origin = Nginx(lab)
    sites = [{"name": f"site-{i}", "url": origin.url(f"/200?{i}"),
              "labels": {"team": f"team-{i % 100}"}} for i in range(MANY)]
    daemon, base = served(lab, sites, {"interval": "1h", "samples": 1},
                          reports=[{"to": "file", "path": "{log}", "format": "json",
                                    "only": "failed"}])
    browser = Browser(lab)
    browser.open(base + "/")
    check(browser, base)
    browser.keep_picture("many")
    assert browser.value("document.querySelector('.filters b').textContent") == "10,000"
    assert browser.value("document.querySelectorAll('tbody tr').length") == 100
    browser.click(".pages a")
    assert browser.value("document.querySelector('.pages span').textContent") == "page 2 of 100"
    # a label's value, typed and sent
    browser.value("document.querySelector('input[type=search]').focus()")
    browser.call("Input.insertText", text="TEAM-77")
    after = len(browser.events)
    browser.value("document.querySelector('form').requestSubmit()")
    browser.wait_for_event("Page.loadEventFired", after)
    assert browser.value("document.querySelectorAll('tbody tr').length") == 100
    assert browser.value("document.querySelector('.pages')") is None
    check(browser, base)
    daemon.stop()


main()
