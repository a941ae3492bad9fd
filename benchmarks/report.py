"""benchmarks/results.json as the part of RESULTS.md on speed, and as a plot."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from benchmarks import results as files
from benchmarks.rows import FULL, NETWORKS

PEERS = {"keras": "Keras", "torchvision": "torchvision"}
PROFILES = Path(__file__).parent / "profiles"


def section(picture=None, results=files.RESULTS, profiles=PROFILES):
    """The Markdown text, always the same for the same results; the plot is written to `picture` where that is given.

    Raises:
        FileNotFoundError: there are no results yet.
    """
    if not Path(results).exists():
        raise FileNotFoundError(f"{results} is not there; `make bench` writes it.")
    content = files.load(results)
    rows = [(row, content["rows"][row.key]) for row in FULL if row.key in content["rows"]]
    if picture:
        draw(rows, picture)
    parts = [heading(content, rows), table(rows), notes(rows), aims(rows, content["input"])]
    parts += [input_table(content["input"]), waiting_table(content["waiting"]), missed(rows, Path(profiles))]
    return "\n\n".join(part for part in parts if part) + "\n"


def heading(content, rows):
    here = content["environment"]
    versions = {name: version for _, row in rows for name, version in row["versions"].items()}
    lines = [
        f"{files.origins(row for _, row in rows)}. {here['processor']}, {here['cores']} cores, "
        f"{here['memory_gib']:g} GiB; "
        + ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
        + ". The libraries took turns, one working at a time, all with every core and the same malloc settings."
    ]
    peaks = [
        f"{precision} {max(each.values()) / 1e9:,.0f} GFLOP/s ("
        + ", ".join(f"{name} {value / 1e9:,.0f}" for name, value in each.items())
        + ")"
        for precision, each in content["peak"].items()
    ]
    if peaks:
        lines.append(
            f"Peak of a matrix product: {'; '.join(peaks)}. *Of peak*: the network's multiply-adds alone, twice, and "
            "three times as many for a training step."
        )
    lines.append(
        "Images a second are medians over the rounds; a ratio is ours to the peer's, the median of the rounds' ratios "
        "with their quartiles. Memory: largest resident, each process by itself."
    )
    return " ".join(lines)


def table(rows):
    lines = [
        "| network | step | batch | precision | ours, images/s | of peak | MiB "
        "| Keras, images/s | ratio | MiB | torchvision, images/s | ratio | MiB |",
        "|---" * 13 + "|",
    ]
    for row, measured in rows:
        libraries = measured["libraries"]
        ours = libraries["keras_cnns"]
        cells = [row.network, row.mode, row.batch, row.precision]
        cells += [number(ours["images_per_second"][1]), f"{100 * measured['share_of_peak']:.0f} %"]
        cells += [f"{ours['peak_memory_mib']:,}"]
        for peer in PEERS:
            library = libraries.get(peer)
            if not library:
                cells += ["", "", ""]
                continue
            cells += [number(library["images_per_second"][1]), ratio(library), f"{library['peak_memory_mib']:,}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def number(value):
    """At most three digits that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ratio(library):
    low, middle, high = library["ratio"]
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def notes(rows):
    lines = []
    for name in dict.fromkeys(row.network for row, _ in rows):
        if NETWORKS[name].note:
            lines.append(f"- {name}: {NETWORKS[name].note}.")
    for row, measured in rows:
        for peer, library in measured["libraries"].items():
            others = {k: v for k, v in library["tried"].items() if k != library["setting"]}
            if others:
                told = ", ".join(f"{k} {v if isinstance(v, str) else number(v)}" for k, v in others.items())
                figure = number(library["tried"][library["setting"]])
                lines.append(
                    f"- {row.key}, {PEERS[peer]}: {library['setting']} was chosen ({figure} images/s; {told})."
                )
    return "\n".join(lines)


def verdict(middle, aim):
    return "met" if middle >= aim else "missed"


def aims(rows, inputs):
    """The aims beside what was measured."""
    lines = ["| aim | at least | measured | |", "|---|---|---|---|"]
    for row, measured in rows:
        for peer, library in measured["libraries"].items():
            if library.get("aim") is not None:
                middle = library["ratio"][1]
                cells = [f"{row.key} / {PEERS[peer]}", f"{library['aim']:g}", ratio(library)]
                lines.append(f"| {' | '.join(cells)} | {verdict(middle, library['aim'])} |")
    for kind, measured in inputs.items():
        if "aim" in measured:
            best = measured["ways"][measured["best"]]
            cells = [f"input, {kind} / torchvision, {measured['best']}", f"{measured['aim']:g}", ratio(best)]
            lines.append(f"| {' | '.join(cells)} | {verdict(best['ratio'][1], measured['aim'])} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def input_table(inputs):
    if not inputs:
        return ""
    lines = [f"{files.origins(inputs.values())}:", ""]
    lines += ["| input | by | images/s | ours to it |", "|---|---|---|---|"]
    for measured in inputs.values():
        for way, each in measured["ways"].items():
            by = way if way.startswith("keras_cnns") else f"torchvision, {way}"
            told = ratio(each) if "ratio" in each else ""
            lines.append(f"| {measured['what']} | {by} | {number(each['images_per_second'][1])} | {told} |")
    return "\n".join(lines)


def waiting_table(waiting):
    """How long training steps wait for their input, and how much longer they take than on one repeated batch."""
    lines = [
        "| training, with its paper's input | images/s | waiting for input | longer than on one repeated batch |",
        "|---|---|---|---|",
    ]
    for network, each in waiting.items():
        share, longer = (f"{100 * each[key][1]:.1f} %" for key in ("waiting_share", "longer_than_repeated"))
        cells = [f"{network}, batch {each['batch']}, {each['precision']}", number(each["images_per_second"][1])]
        lines.append(f"| {' | '.join(cells)} | {share} | {longer} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def missed(rows, profiles):
    """Where the time goes in our step, for the rows that missed an aim."""
    parts = []
    for row, measured in rows:
        short = [
            PEERS[peer]
            for peer, library in measured["libraries"].items()
            if library.get("aim") is not None and library["ratio"][1] < library["aim"]
        ]
        if not short:
            continue
        file = profiles / f"{row.network}-{row.mode}-{row.batch}-{row.precision}.json"
        title = f"Where the time goes in {row.key} (missed beside {' and '.join(short)})"
        if file.exists():
            shares = json.loads(file.read_text())["shares"]
            told = ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in shares.items() if share >= 0.015)
        else:
            told = (
                f"not profiled; `python -m benchmarks.profile {row.network} --mode {row.mode} --batch {row.batch} "
                f"--precision {row.precision}`"
            )
        parts.append(f"- {title}: {told}.")
    return "\n".join(parts)


def draw(rows, picture):
    """The ratios as points with their quartiles, a line at 1, the aims as marks."""
    lines = [
        (row.key, peer, library)
        for row, measured in rows
        for peer, library in measured["libraries"].items()
        if "ratio" in library
    ]
    keys = list(dict.fromkeys(key for key, _, _ in lines))
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.28 * len(keys)), layout="constrained")
    axes.axvline(1, color="0.6", linewidth=1)
    for peer, colour, shift in (("keras", "tab:red", -0.12), ("torchvision", "tab:blue", 0.12)):
        own = [(keys.index(key) + shift, library) for key, name, library in lines if name == peer]
        if not own:
            continue
        heights = [height for height, _ in own]
        low, middle, high = zip(*(library["ratio"] for _, library in own), strict=True)
        error = [[m - a for m, a in zip(middle, low, strict=True)], [b - m for m, b in zip(middle, high, strict=True)]]
        axes.errorbar(middle, heights, xerr=error, fmt="o", color=colour, markersize=4, label=f"ours / {PEERS[peer]}")
        aimed = [(library["aim"], height) for height, library in own if library.get("aim") is not None]
        if aimed:
            axes.scatter(*zip(*aimed, strict=True), marker="|", s=90, color=colour, label=f"aim, {PEERS[peer]}")
    axes.set_yticks(range(len(keys)), keys, fontsize=8)
    axes.set_ylim(len(keys) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("times as many images a second; points are medians, bars quartiles")
    axes.legend(fontsize=8)
    figure.savefig(picture, dpi=110, metadata={"Software": None})
    plt.close(figure)
