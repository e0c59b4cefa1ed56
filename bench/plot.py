"""How cost and memory grow with a photo's size, as an SVG."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt


def plot(rows: dict[float, dict[str, Any]], path: Path) -> None:
    """Draw CPU seconds by stage and peak memory over megapixels; `rows` by size, as `bench.child` gives them."""
    mpl.rcParams["svg.hashsalt"] = "regain"  # the same figures, the same file
    sizes = sorted(rows)
    stages = list(rows[sizes[0]]["stages"])
    figure, (cost, memory) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    cost.stackplot(sizes, [[rows[size]["stages"][stage] for size in sizes] for stage in stages], labels=stages)
    cost.set(xlabel="megapixels", ylabel="CPU seconds, warm", title="One photo, by stage")
    cost.legend(loc="upper left", frameon=False)
    memory.plot(sizes, [rows[size]["peak_mb"] for size in sizes], marker="o")
    memory.set(xlabel="megapixels", ylabel="MiB", title="Peak memory of the process", ylim=(0, None))
    for axes in (cost, memory):
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
