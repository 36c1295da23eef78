#!/usr/bin/python3
"""What training and reconstruction say that they take, against the peak of the process: within 10 % where the network is most
of it, and a budget that cannot be met is refused before any work, with the least that can.
Usage: memory_said.py WILLIS (run in an empty folder)"""
import os
import re
import subprocess
import sys

willis = os.path.abspath(sys.argv[1])
failures = 0


def run(*arguments):
    """Exit code, what it said, peak resident MiB."""
    with open("said", "w+") as said:
        child = subprocess.Popen([willis, *arguments, "--force", "-t", "2"], stdout=subprocess.DEVNULL, stderr=said)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        return child.returncode, said.read(), used.ru_maxrss / 1024


def check(what, good):
    global failures
    failures += not good
    print("ok  " if good else "FAIL", what)


def within(name, pattern, *arguments):
    code, said, peak = run(*arguments)
    found = re.search(pattern, said)
    check(f"{name}: exit {code}", code == 0 and found)
    if found:
        told = float(found.group(1))
        check(f"{name}: said {told:.0f} MiB, measured {peak:.0f}", abs(told - peak) <= 0.1 * peak)


run("phantom", "-o", "head.swc", "--seed", "3")
os.makedirs("heads", exist_ok=True)
os.replace("head.swc", "heads/head.swc")
train = ["train", "--data", "heads", "--size", "128", "--views", "10", "--max-steps", "1", "-o", "model.safetensors"]
said_of_training = r"training takes (\d+) MiB"
within("training that stores", said_of_training, *train)
within("training that recomputes", said_of_training, *train, "--max-memory", "150M")
code, said, _ = run(*train, "-o", "none.safetensors", "--max-memory", "40M")
least = re.search(r"at least ([\d.]+) MiB", said)
check("training in 40 MiB: refused", code == 1 and least and not os.path.exists("none.safetensors"))
if least:
    code, said, _ = run(*train, "--max-memory", f"{float(least.group(1)) + 1:.0f}M")
    check(f"training in the least, {least.group(1)} MiB and one: done", code == 0)
run("voxelize", "heads/head.swc", "--size", "256", "-o", "head.nii.gz")
run("project", "head.nii.gz", "--views", "10", "-o", "views.nii.gz")
rebuild = ["reconstruct", "views.nii.gz", "-m", "model.safetensors", "-o", "out.nii"]
within("reconstruction", r"about (\d+) MiB of memory", *rebuild)
code, said, _ = run(*rebuild, "-o", "none.nii", "--max-memory", "20M")
check("reconstruction in 20 MiB: refused", code == 1 and "at least" in said and not os.path.exists("none.nii"))
sys.exit(failures > 0)
