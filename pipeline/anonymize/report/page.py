"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.anonymize.outcome import Summary
from pipeline.anonymize.paths import shown
from pipeline.anonymize.report.thumbnails import thumbnails
from pipeline.config.schema import AnonymizeConfig

REVIEWED = 60
"""Pictures of the review list that are shown; report.json names all."""
AT_ONCE = 2
"""Pictures opened at the same time for that."""
LISTED = 500
"""Names of one list that the page shows; report.json has all."""


def page(summary: Summary, content: dict[str, Any], config: AnonymizeConfig) -> str:
    """The page; ``content`` is report.json's."""
    reviewed = [summary.entries[each["path"]] for each in content["review"][:REVIEWED]]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        images = list(pool.map(lambda entry: thumbnails(summary.out, entry, config.limits), reviewed))
    review = [
        {"path": entry.path, "candidates": entry.doubtful, "images": shots}
        for entry, shots in zip(reviewed, images, strict=True)
    ]
    template = _environment().get_template("report.html.j2")
    return template.render(
        report=content,
        shown_review=review,
        config=config,
        most=LISTED,
        largest=max([1, *content["faces_by_size"].values(), *content["faces_by_score"].values()]),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["shown"] = shown
    environment.filters["link"] = lambda path: quote(path, errors="surrogateescape")
    return environment
