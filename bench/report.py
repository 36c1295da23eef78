"""Runs every bench program and its peer in turns and writes one page.

  /usr/bin/python3 bench/report.py BUILD PAGE [quick|long] [PAIRS]

BUILD is the build folder, PAGE what is written: tables of medians, ratios and goals, followed by
what PAGE-notes.md says. Peers that are not installed are left out, and that is said. quick: small
sizes, a few minutes on an idle machine; long: the sizes of the goals, about an hour."""
import datetime
import importlib.util
import os
import pathlib
import re
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PINNED = {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores"}
FORMS = {  # edges of volumes; network edges against the peer, and alone
    "quick": {"network": (96, 128), "alone": (), "kernels": 128, "xray": 128, "surface": 256},
    "long": {"network": (96, 128, 192), "alone": (384,), "kernels": 192, "xray": 256, "surface": 256}}
GOALS = {  # ratio at least
    "forward": 10, "step": 8, "project max": 400, "backproject": 800, "otsu": 15, "isosurface": 15,
    ("32 -> 64", "forward"): 4.5, ("32 -> 64", "data gradient"): 4.5, ("32 -> 64", "weight gradient"): 10,
    ("64 -> 128", "forward"): 5, ("64 -> 128", "data gradient"): 5, ("64 -> 128", "weight gradient"): 7}
LIMITS = {"forward 384³": 4.4, "step 384³": 16}  # wall seconds on two idle cores
HEAD = ["", "| | Willis: wall, CPU s | peer: wall, CPU s | ratio | goal | |", "|---|---|---|---|---|---|"]


def run(command, pinned=True, **more):
    """Output of a command whose threads are pinned, or left to the peer's own library."""
    done = subprocess.run([str(c) for c in command], env={**os.environ, **(PINNED if pinned else {}), **more},
                          text=True, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        say(f"{command[0]} failed with exit code {done.returncode}: its rows are missing")
    return done.stdout


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def installed(name):
    found = importlib.util.find_spec(name) is not None
    if not found:
        say(f"{name} is not installed: its rows are left out")
    return found


def version(name):
    return getattr(__import__(name), "__version__", "?") if importlib.util.find_spec(name) else "not installed"


def row(name, ours, theirs, ratio, goal):
    def cell(pair):
        return ", ".join("" if s is None else f"{s:.3g}" for s in pair) if pair else ""
    met = "" if goal is None or ratio is None else "met" if ratio >= goal else "**missed**"
    return (f"| {name} | {cell(ours)} | {cell(theirs)} | {'' if ratio is None else f'{ratio:.3g}×'} "
            f"| {'' if goal is None else f'{goal}×'} | {met} |")


def step_line(text):
    found = re.search(r"forward ([\d.]+) s \(cpu ([\d.]+)\) step ([\d.]+) s \(cpu ([\d.]+)\)", text)
    return [float(n) for n in found.groups()] if found else None


def network(build, form, pairs):
    lines = ["## The network beside PyTorch", "Two threads each, in turns, each run after a warm-up; ratios of wall "
             "seconds. PyTorch's threads are its own library's to place: none of ours in its environment."] + HEAD
    peer = installed("torch")
    for size in form["network"] + form["alone"]:
        ours, theirs, count = [], [], pairs if size < 384 else 1
        for _ in range(count):
            say(f"network {size}^3")
            ours.append(step_line(run([build / "bench/nn_step", size, 1, 2])))
            if peer and size in form["network"]:
                theirs.append(step_line(run([sys.executable, HERE / "nn_step.py", size, 1, 2], pinned=False)))
        if None in ours or None in theirs:
            continue
        for name, at in (("forward", 0), ("step", 2)):
            mine = [statistics.median(o[at + k] for o in ours) for k in (0, 1)]
            other = [statistics.median(t[at + k] for t in theirs) for k in (0, 1)] if theirs else None
            ratio = statistics.median(t[at] / o[at] for t, o in zip(theirs, ours)) if theirs else None
            lines.append(row(f"{name} {size}³", mine, other, ratio, GOALS[name] if theirs else None))
            limit = LIMITS.get(f"{name} {size}³")
            if limit:
                lines[-1] = (f"| {name} {size}³ | {mine[0]:.3g}, {mine[1]:.3g} | | | ≤ {limit} s | "
                             f"{'met' if mine[0] <= limit else '**missed**'} |")
    return lines


def kernels(build, form, pairs):
    lines = ["## Convolutions beside oneDNN"]
    flags = pathlib.Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    forms = [("Both with the widest vectors there are", (), {})]
    if "avx512f" in flags:
        forms.append(("Both held to AVX2, for which the goals were set", ("avx2",), {"ONEDNN_MAX_CPU_ISA": "AVX2"}))
    for title, held, more in forms:
        say(f"convolutions: {title}")
        text, layer = run([build / "bench/kernels", form["kernels"], pairs, *held], **more), ""
        head = text.splitlines()[0] if text else ""
        lines += ["", f"{title}: {head}.", "Error: relative rms against float64.", "",
                  "| | Willis: wall, CPU s | oneDNN wall s | error | ratio wall, CPU | goal | |", "|---|---|---|---|---|---|---|"]
        if "peer: none" in head:
            say("oneDNN was not found when this was built: no ratios")
        for line in text.splitlines()[2:]:
            if line.startswith("convolution"):
                layer = line.split(",")[0].removeprefix("convolution ")
                edge = line.split()[-1]
                continue
            name, cells = line[2:30].strip(), line[30:].split()
            goal = GOALS.get((layer, name))
            if len(cells) < 7:
                lines.append(f"| {layer}, {edge}³: {name} | {cells[0]}, {cells[1]} | | {cells[3]} | | | |")
                continue
            met = "" if goal is None else "met" if float(cells[5]) >= goal else "**missed**"
            lines.append(f"| {layer}, {edge}³: {name} | {cells[0]}, {cells[1]} | {cells[4]} | {cells[3]} | {cells[5]}×, "
                         f"{cells[6]}× | {'' if goal is None else f'{goal}×'} | {met} |")
        lines += transposed(run([build / "bench/transposed", form["kernels"], pairs, *held], **more))
    return lines


def transposed(text):
    """Rows of the peer's layers and of the decoder's pass, for the table of the convolutions."""
    lines = [f"| {name}, alone | | {wall} | | | | |" for name, wall in re.findall(r"(transposed .+?) alone: peer ([\d.]+)", text)]
    found = re.search(r"wall (\S+) cpu (\S+) error (\S+)(?: peer (\S+) ratio (\S+) cpu (\S+) goal (\S+))?", text)
    if not found:
        return lines
    wall, cpu, error, peer, ratio, cpu_ratio, goal = found.groups()
    row = f"| the three with normalisation and ReLU in one pass | {wall}, {cpu} | {peer or ''} | {error} |"
    if not peer:
        return lines + [row + " | | |"]
    met = "met" if float(ratio) >= float(goal) else "**missed**"
    return lines + [f"{row} {ratio}×, {cpu_ratio}× | {goal}× | {met} |", "",
                    "The pass's goal is the ratio that its layers would have together at their goals of 4, 7 and 10×; oneDNN's layers "
                    "leave normalisation and ReLU out."]


def xray(build, form, pairs):
    size = form["xray"]
    lines = [f"## Operators beside SciPy, {size}³, 90 views", "Ratios of CPU seconds; SciPy's from four views, on one thread."] + HEAD
    if not installed("scipy"):
        return lines
    say("projection and back-projection")
    for line in run([sys.executable, HERE / "xray_scipy.py", build / "bench/xray", size, pairs]).splitlines()[1:]:
        found = re.match(r"(\S+)\s+(.+?)\s+([\d.]+)\s+SciPy\s+([\d.]+)\s+([\d.]+)x", line)
        if found:
            data, name, mine, other, ratio = found.groups()
            lines.append(row(f"{name}, {data}", (None, float(mine)), (None, float(other)), float(ratio), GOALS.get(name)))
    return lines


def surface(build, form, pairs):
    size = form["surface"]
    lines = [f"## Thresholds, surfaces and scores beside scikit-image and SciPy, {size}³",
             "A phantom's vessels. Ratios of CPU seconds, one thread."] + HEAD
    if not (installed("skimage") and installed("scipy")):
        return lines
    say("thresholds, surfaces and scores")
    for line in run([sys.executable, HERE / "surface_peers.py", build / "bench/surface", size, pairs],
                    OMP_NUM_THREADS="1").splitlines():
        n = [float(w) for w in re.findall(r"(?<=\s)\d+\.\d+", line)]
        name = line.split(" theirs")[0].strip()
        goal = next((g for key, g in GOALS.items() if isinstance(key, str) and name.startswith(key)), None)
        lines.append(row(name, (n[3], n[2]), (n[1], n[0]), n[4], goal))
    return lines


def machine():
    info = run(["lscpu"]) if os.path.exists("/proc/cpuinfo") else ""
    model = re.search(r"Model name:\s*(.*)", info)
    family = re.search(r"CPU family:\s*(\d+)\s*\nModel:\s*(\d+)", info)
    vectors = "AVX-512" if "avx512f" in info else "AVX2" if "avx2" in info else "no AVX2"
    load = os.getloadavg()[0]
    busy = "" if load < 0.5 else f" **The machine was busy: load {load:.1f} before the first run.**"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{datetime.date.today()}, {len(os.sched_getaffinity(0))} cores of {model.group(1) if model else '?'} (family, model: "
            f"{', '.join(family.groups()) if family else '?'}; {vectors}), {memory:.0f} GiB.{busy}")


def forget_threads():
    """Of the caller's settings only what run() adds counts; and a peer that is loaded to ask for its version would obey
    OMP_PROC_BIND and tie this process, with all that it starts, to one core."""
    for name in list(os.environ):
        if name.startswith(("OMP_", "GOMP_", "MKL_")):
            del os.environ[name]


def main():
    forget_threads()
    build, page = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    kind = sys.argv[3] if len(sys.argv) > 3 and sys.argv[3] else "quick"
    pairs = int(sys.argv[4]) if len(sys.argv) > 4 and sys.argv[4] else 5
    if kind not in FORMS or pairs < 1:
        sys.exit("bench: the form is quick or long, and pairs are at least 1")
    peers = ", ".join(f"{name} {version(name)}" for name in ("torch", "scipy", "skimage", "numpy"))
    lines = ["# Speed", f"Written by `make bench FORM={kind} PAIRS={pairs}`; do not edit. {machine()}", "",
             f"Peers: {peers}. Medians of {pairs} paired runs; our threads pinned; random numbers or phantoms as data."]
    for part in (network, kernels, xray, surface):
        lines += [""] + part(build, FORMS[kind], pairs)
    notes = page.with_name(page.stem + "-notes.md")
    if notes.exists():
        lines += ["", f"What stands behind the numbers, and why goals are missed: [{notes.name}]({notes.name})."]
    page.write_text("\n".join(lines) + "\n")
    say(f"wrote {page}")


main()
