"""The pages of the site, into build/docs, and its configuration, build/mkdocs.yml; `make docs` calls this.

    python -m docs.generate

They come from the builders, the papers' tables, the documentation of the scripts and the committed records. The guides
and the first page are written by hand, and copied.
"""

import json
import shutil

from docs import pages
from docs.networks import networks
from docs.sources import ROOT, claims, networks_of, papers, records, script_of, scripts

BUILD = ROOT / "build"
PAGES = BUILD / "docs"
GUIDES = {  # in this order
    "tasks": "From data to an answer",
    "keras-applications": "Coming from keras.applications",
    "torchvision": "Coming from torchvision",
    "fine-tune": "Fine-tune with ImageNet weights",
    "serve": "Serve a SavedModel",
    "tensorboard": "Watch with TensorBoard",
    "clusters": "Run on SLURM or Kubeflow",
}


def main():
    all_papers, all_scripts, all_records, all_claims = papers(), scripts(), records(), claims()
    made = networks(BUILD / "networks")

    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(ROOT / "docs/guides", PAGES / "guides")
    for name in ("index.md", "dependencies.md", "line.png", "style.css"):
        shutil.copy(ROOT / "docs" / name, PAGES)
    copied = shutil.ignore_patterns("*.json", "unfinished")
    shutil.copytree(ROOT / "reproductions/results", PAGES / "reproductions/results", ignore=copied)
    (PAGES / "benchmarks").mkdir()
    for picture in (ROOT / "benchmarks").glob("*.png"):
        shutil.copy(picture, PAGES / "benchmarks")
    (PAGES / "networks/diagrams").mkdir(parents=True)
    for table in made:
        shutil.copy(BUILD / f"networks/{table}.svg", PAGES / "networks/diagrams")

    write("results.md", "---\nsearch:\n  exclude: true\n---\n\n" + (ROOT / "RESULTS.md").read_text())
    write("networks/index.md", pages.networks_page(all_papers, made))
    for builder, paper in all_papers.items():
        recorded = {
            name: record
            for name, record in all_records.items()
            if record.get("script") and builder in networks_of(name, record, all_papers, all_scripts)
        }
        made_them = {script_of(record) for record in recorded.values()}
        of_network = {
            name: script for name, script in all_scripts.items() if builder in script.builders or name in made_them
        }
        about = [claim for claim in all_claims.values() if paper.module in claim.modules]
        text = pages.network_page(builder, paper, made, of_network, recorded, about)
        write(f"networks/{builder}.md", text)
    write("claims/index.md", pages.claims_page(all_claims))
    for id, claim in all_claims.items():
        write(f"claims/{id}.md", pages.claim_page(claim, all_papers, all_scripts, all_records))
    write("reproductions/index.md", pages.scripts_page(all_scripts, all_records))
    for name, script in all_scripts.items():
        own = {each: record for each, record in all_records.items() if script_of(record) == name}
        write(f"reproductions/{name}.md", pages.script_page(script, own))
    for package in pages.API:
        write(f"api/{package}.md", pages.api_page(package))

    nav = json.dumps(navigation(all_papers, all_scripts, all_claims))  # which is YAML too
    (BUILD / "mkdocs.yml").write_text(f"INHERIT: ../docs/mkdocs.yml\ndocs_dir: docs\nsite_dir: site\nnav: {nav}\n")
    print(f"pages written: {PAGES}")


def navigation(all_papers, all_scripts, all_claims):
    """What stands at the top and at the left, as MkDocs reads it."""
    by_paper = {}
    for area, builders in pages.by_area(all_papers).items():
        for builder in builders:
            by_paper.setdefault(area, {}).setdefault(all_papers[builder].short, []).append(builder)
    return [
        {"Home": "index.md"},
        {"Guides": [{title: f"guides/{name}.md"} for name, title in GUIDES.items()]},
        {
            "Networks": [
                "networks/index.md",
                *(
                    {area: [entry(each, builders) for each, builders in of_area.items()]}
                    for area, of_area in by_paper.items()
                ),
            ]
        },
        {
            "Claims": [
                "claims/index.md",
                *(
                    {group: [{f"{each.id} {each.claim}": f"claims/{each.id}.md"} for each in of_group]}
                    for group, of_group in pages.by_group(all_claims).items()
                ),
            ]
        },
        {"Reproductions": ["reproductions/index.md", *(f"reproductions/{name}.md" for name in all_scripts)]},
        {"Results": "results.md"},
        {
            "Reference": [
                *({title: f"api/{package}.md"} for package, title in pages.API.items()),
                {"Dependencies": "dependencies.md"},
            ]
        },
    ]


def entry(paper, builders):
    """A paper in the navigation: its network, or its networks."""
    links = [{builder: f"networks/{builder}.md"} for builder in builders]
    return links[0] if len(links) == 1 else {paper: links}


def write(name, text):
    (PAGES / name).parent.mkdir(parents=True, exist_ok=True)
    (PAGES / name).write_text(text)


if __name__ == "__main__":
    main()
