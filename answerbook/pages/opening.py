"""How every generated page begins."""


def opening(title: str, description: str, origin: str, contents: bool = False) -> list[str]:
    """Front matter, a note to who would edit the page, and its heading, as lines of Markdown.

    ``origin`` says what the page is written from and what to edit instead; ``contents``: whether the page shows
    a table of contents. The search leaves these pages out: they repeat the answers and would outrank them.
    """
    named = f'"{title}"' if ":" in title else title
    hidden = [] if contents else ["hide:", "  - toc"]
    return [
        *(
            "---",
            f"title: {named}",
            f"description: {description}",
            *hidden,
            "search:",
            "  exclude: true",
            "---",
            "",
        ),
        *(f"<!-- Written at build time from {origin}. -->", "", f"# {title}", ""),
    ]
