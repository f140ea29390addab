"""The table: a row for every measure, a column for every peer; each cell has the peer's value and how many times better tilewise is."""
import os
import pathlib
import platform
import statistics
import subprocess
import sys

from sides import MOST_TAKEN, PEERS
from rounds import TOLERANCE

CORES = {"one": "one core", "all": "all cores"}


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def short(value):
    """Three digits or so, thousands with a comma."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def share(value):
    return f"{value:.2%}" if value >= 1e-4 else f"{value:.0e}"


def times(ratios):
    """Median and spread."""
    return f"{statistics.median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f})"


def undisturbed(pairs):
    """(peer's pass, tilewise's pass) of the rounds in which others left both alone; of all rounds where that never was."""
    return [pair for pair in pairs if max(one["taken"] for one in pair) <= MOST_TAKEN] or pairs


def throughput_cell(group, cores, order, name):
    """The peer in `order`, tilewise in arrival order, round by round."""
    rounds = [one[cores] for one in group["rounds"]]
    if name not in rounds[0] or order not in rounds[0][name]:
        return "-"
    pairs = undisturbed([(one[name][order], one["tilewise"]["arrival"]) for one in rounds])
    value = statistics.median(theirs["tokens_per_s"] for theirs, _ in pairs)
    ratios = [mine["tokens_per_s"] / theirs["tokens_per_s"] for theirs, mine in pairs]
    return f"{short(value)} b{group['peers'][name]['batch'][order]}: **{times(ratios)}**"


def latency_cell(group, quantile, name):
    rounds = [one["latency"] for one in group["rounds"]]
    if name not in rounds[0]:
        return "-"
    pairs = undisturbed([(one[name], one["tilewise"]) for one in rounds])
    value = statistics.median(theirs[quantile] for theirs, _ in pairs)
    return f"{short(value)}: **{times([theirs[quantile] / mine[quantile] for theirs, mine in pairs])}**"


def rows_of(group, names, core_settings):
    """(measure, tilewise's value, a cell for each name)"""
    what, per_row = group["workload"], group["tokens"] / group["rows"]
    for cores in core_settings:
        mine = statistics.median(one[cores]["tilewise"]["arrival"]["tokens_per_s"] for one in group["rounds"])
        value = f"{short(mine)} ({short(mine / per_row)} rows/s)"
        for order in ("sorted", "arrival"):
            yield (f"{what}, {CORES[cores]}, tokens/s, {order}", value, [throughput_cell(group, cores, order, name) for name in names])
    for quantile in ("p50", "p99"):
        mine = statistics.median(one["latency"]["tilewise"][quantile] for one in group["rounds"])
        yield (f"{what}, one alone, {quantile.upper()} ms", short(mine), [latency_cell(group, quantile, name) for name in names])


def cost_rows(group, names):
    """Load, memory and first use of the peers' processes; nothing here is a ratio of rounds, so none is given."""
    mine, peers, first = group["tilewise"], group["peers"], group["first_use"]
    cells = [f"{short(1e3 * peers[name]['load_seconds'])}" if name in peers else "-" for name in names]
    yield (f"{group['workload']}, load, ms", short(1e3 * mine["load_seconds"]), cells)
    cells = [f"{short(peers[name]['ready_mb'])} / {short(peers[name]['peak_mb'])}" if name in peers else "-" for name in names]
    yield (f"{group['workload']}, memory ready / peak, MB", f"{short(mine['ready_mb'])} / {short(mine['peak_mb'])}", cells)
    cells = [f"{short(first[name]['first_ms'])}, then {short(first[name]['then_ms'])}" if name in peers else "-" for name in names]
    yield (f"{group['workload']}, first input of a new length, ms", "as any", cells)


def print_table(groups, names, core_settings):
    print("| | tilewise: text in, arrival order | " + " | ".join(f"{PEERS[name].title}: {'text' if PEERS[name].input == 'text' else 'ids'} in" for name in names) + " |")
    print("|---" * (2 + len(names)) + "|")
    for precision in dict.fromkeys(group["precision"] for group in groups):
        print(f"| **{precision}** ({next(group['isa'] for group in groups if group['precision'] == precision)}) |" + " |" * (1 + len(names)))
        for group in groups:
            if group["precision"] == precision:
                for what, mine, cells in [*rows_of(group, names, core_settings), *cost_rows(group, names)]:
                    print(f"| {what} | {mine} | " + " | ".join(cells) + " |")


def report(groups, arguments):
    names = [name for name in arguments.peers if any(name in group["peers"] for group in groups)]
    versions = {key: value for group in groups for peer in group["peers"].values() for key, value in peer["versions"].items()}
    tilewise = subprocess.run([arguments.tilewise, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    priority = f"real-time {arguments.fifo} (SCHED_FIFO)" if arguments.fifo else "ordinary"
    print(f"machine    {cpu_name()}, {os.cpu_count()} cores; used: {', '.join(map(str, arguments.cores))} (one core: {arguments.cores[0]})")
    print(f"priority   {priority}, the same for both sides; load of the machine {os.getloadavg()[0]:.1f}")
    print(f"versions   tilewise {tilewise}, " + ", ".join(f"{key} {value}" for key, value in versions.items()) + f", Python {platform.python_version()}")
    print(f"command    bench/peers/run.sh {' '.join(sys.argv[1:])}")
    print(f"model      {arguments.model_name}")
    print(f"texts      {arguments.data or 'the sample of examples/product-search'}: " + ", ".join(
        f"{rows} {name} of {tokens / rows:.1f} tokens" for name, rows, tokens in dict.fromkeys((g["workload"], g["rows"], g["tokens"]) for g in groups)))
    print(f"values     medians of {arguments.rounds} rounds; tokens are real ones, padding not counted; bN: the peer's best batch;")
    print("           x: times as fast as the peer, median (least to most) of the rounds' own ratios\n")
    print_table(groups, names, arguments.core_settings)
    print()
    for group in groups:
        checks = ", ".join(f"{PEERS[name].title if name in PEERS else name} {share(seen['relative'])} ({seen['same_decisions']:.1%})"
                           for name, seen in group["checks"].items())
        print(f"- {group['precision']}, {group['workload']}: distance from PyTorch's fp32 in standard deviations of the logits "
              f"(share of the same decisions), at most {TOLERANCE[group['precision']]:.1%} let through: {checks}")
        for name, reason in group["failures"].items():
            print(f"- {group['precision']}, {group['workload']}, {PEERS[name].title}: {reason}")
    for name in names:
        print(f"- {PEERS[name].title}: " + "; ".join(dict.fromkeys(f"{group['precision']}: {group['peers'][name]['setting']}" for group in groups if name in group["peers"])))
    taken = [one["taken"] for group in groups for single in group["rounds"] for one in shares_of(single)]
    print(f"- others took {statistics.median(taken):.0%} of the cores in the median pass; {sum(share > MOST_TAKEN for share in taken)} of {len(taken)} passes lost "
          f"more than {MOST_TAKEN:.0%} in every try, and their rounds are left out of their cells")


def shares_of(single):
    for setting, sides in single.items():
        for side in sides.values():
            yield from [side] if setting == "latency" else side.values()
