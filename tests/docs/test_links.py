"""Every relative link and picture of the documentation is there."""

import re

_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_LINK = re.compile(
    r'\[[^\]]*\]\((?P<markdown>[^)\s]+)\)|<(?:img|source|a)\b[^>]*?(?:src|srcset|href)="(?P<html>[^"]+)"'
)
_HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *$", re.MULTILINE)


def links(page):
    """Relative targets of all links and pictures of a page, outside its code."""
    found = (m["markdown"] or m["html"] for m in _LINK.finditer(_CODE.sub("", page.read_text())))
    return [target for target in found if "://" not in target and not target.startswith("mailto:")]


def anchors(page):
    """Names by which a page's headings can be linked to, as GitHub makes them."""
    headings = (m["text"].lower() for m in _HEADING.finditer(page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere(page):
    missing = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            missing.append(target)
    assert not missing


def test_every_page_can_be_reached(root, pages):
    reached, todo = set(), [root / "README.md", root / "docs" / "index.md"]
    while todo:
        page = todo.pop()
        page = page / "README.md" if page.is_dir() else page
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        todo += [(page.parent / target.partition("#")[0]).resolve() for target in links(page)]
    assert set(pages) <= reached
