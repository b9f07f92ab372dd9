"""Write the pages of docs/nodes: ``python -m tests.docs.nodes``, from the repository's folder."""

from __future__ import annotations

from tests.docs.nodes.pages import ROOT, all_pages, stale


def main() -> None:
    """Write what has changed, and remove what is of no node any more."""
    pages = all_pages()
    for file in stale(pages):
        print(file.relative_to(ROOT))
        if file in pages:
            file.write_text(pages[file])
        else:
            file.unlink()


if __name__ == "__main__":
    main()
