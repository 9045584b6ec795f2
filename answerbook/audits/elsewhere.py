"""Run every snippet and lab as other processors would.

The libraries under PyTorch, NumPy and SciPy choose their code by processor, and each choice rounds
differently. Settings in the environment make them choose as for another one. They must stand before the
interpreter starts, so each kind of processor has a process of its own. What a source prints must agree
with its recording as compare.py wants it, and its figures in number and shape.
"""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from pathlib import Path

from answerbook.model import existing_figures, read_book
from answerbook.project import ROOT, Trouble
from answerbook.run import runner
from answerbook.run.compare import deviation, difference, frame
from answerbook.run.labs import lab_names, notebook_path

CPU_SECONDS = 300  # code without vector instructions takes longer
NO_AVX512 = "X86_V4 AVX512_ICL AVX512_SPR"  # NumPy's names for what it adds on such processors


@dataclass(frozen=True)
class Environment:
    """A kind of processor: the settings that imitate it, and what it takes to do so."""

    settings: dict[str, str] = field(default_factory=dict)
    needs: str = ""  # a flag in /proc/cpuinfo, which only Linux on x86 has
    intel: bool = False  # MKL takes the code that it keeps for Intel's processors


ENVIRONMENTS = {
    "as it is": Environment(),
    "plain code, 2 threads": Environment({"SNIPPET_THREADS": "2", "ATEN_CPU_CAPABILITY": "default"}),
    "SSE only": Environment(
        {
            "ATEN_CPU_CAPABILITY": "default",
            "MKL_CBWR": "COMPATIBLE",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "OPENBLAS_CORETYPE": "Prescott",
            "NPY_DISABLE_CPU_FEATURES": f"X86_V3 {NO_AVX512}",
        },
        needs="sse4_1",
    ),
    "Intel, AVX2": Environment(
        {
            "ATEN_CPU_CAPABILITY": "avx2",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "OPENBLAS_CORETYPE": "Haswell",
            "NPY_DISABLE_CPU_FEATURES": NO_AVX512,
        },
        needs="avx2",
        intel=True,
    ),
    "Intel, AVX-512": Environment(
        {
            "ATEN_CPU_CAPABILITY": "avx512",
            "MKL_ENABLE_INSTRUCTIONS": "AVX512",
            "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
            "OPENBLAS_CORETYPE": "SkylakeX",
        },
        needs="avx512bw",
        intel=True,
    ),
    "AMD, AVX2, 2 threads": Environment(
        {
            "SNIPPET_THREADS": "2",
            "ATEN_CPU_CAPABILITY": "avx2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "OPENBLAS_CORETYPE": "Zen",
            "NPY_DISABLE_CPU_FEATURES": NO_AVX512,
        },
        needs="avx2",
    ),
}


def why_not(environment: Environment) -> str:
    """Why this machine cannot imitate a kind of processor; empty if it can."""
    if not environment.needs:
        return ""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return f"only Linux on x86 can, this is {platform.system()} on {platform.machine()}"
    flags = re.search(r"^flags\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[1].split()
    return "" if environment.needs in flags else f"this processor has no {environment.needs}"


def intel_switch(folder: str) -> dict[str, str]:
    """MKL asks who made the processor: a library that answers "Intel", loaded before MKL's own answer."""
    answer = "int mkl_serv_intel_cpu_true(void) {return 1;}\nint mkl_serv_intel_cpu(void) {return 1;}\n"
    library = f"{folder}/intel.so"
    try:
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-xc", "-", "-o", library], input=answer, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return {}  # without a C compiler MKL stays as it is; the line that says what is in effect shows it
    return {"LD_PRELOAD": library}


def in_effect(variables: dict[str, str]) -> str:
    """What the libraries say that they use, in a process with these variables."""
    variables = variables | {"MKL_VERBOSE": "1", "ONEDNN_VERBOSE": "1"}
    command = [sys.executable, "-m", "answerbook.audits.elsewhere", "--in-effect"]
    said = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=True).stdout
    found = [line for line in said.splitlines() if "VERBOSE" not in line and "verbose," not in line]
    if mkl := re.search(r"architecture (.+), Lnx.*?CNR:(\w+)", said, re.DOTALL):
        found.append(f"MKL {mkl[1].replace('(R)', '')} (CBWR {mkl[2]})")
    if onednn := re.search(r"cpu,isa:(.+)", said):
        found.append(f"oneDNN {onednn[1]}")
    return "; ".join(found)


def print_effect() -> None:
    """Body of the process that :func:`in_effect` starts."""
    import scipy.linalg  # noqa: F401 - has an OpenBLAS of its own
    import torch
    from numpy._core import _multiarray_umath as numpy_core
    from threadpoolctl import threadpool_info

    print(f"{runner.THREADS} threads" if runner.THREADS != "1" else "1 thread")
    print(f"PyTorch {torch.backends.cpu.get_cpu_capability()}")
    # OpenBLAS says the first of the names that share its code: Katmai for Prescott, Haswell for Zen.
    print("OpenBLAS", *{i["architecture"] for i in threadpool_info() if i["internal_api"] == "openblas"})
    features = [f for f in numpy_core.__cpu_dispatch__ if numpy_core.__cpu_features__[f]]
    print("NumPy", *(features or ["baseline"]))
    torch.randn(32, 32) @ torch.randn(32, 32)  # so that MKL and oneDNN say something
    torch.nn.functional.conv2d(torch.randn(8, 16, 32, 32), torch.randn(32, 16, 3, 3))


@dataclass(frozen=True)
class Recorded:
    """A source, and what it printed and drew when it was recorded."""

    source: str
    stdout: str
    tolerance: float | None
    frames: list  # of a snippet's figures; of a lab's, which are PNG, ``None`` each


def recorded() -> dict[str, Recorded]:
    """All snippets and labs by name."""
    found = {}
    for snippet in read_book().snippets.values():
        frames = [frame(path.read_text()) for path in existing_figures(snippet.name)]
        found[snippet.name] = Recorded(snippet.source, snippet.output or "", snippet.tolerance, frames)
    for lab in lab_names():
        cells = [c for c in json.loads(notebook_path(lab).read_text())["cells"] if c["cell_type"] == "code"]
        outputs = [output for cell in cells for output in cell["outputs"]]
        printed = "".join("".join(o["text"]) for o in outputs if o["output_type"] == "stream")
        drawn = [None for o in outputs if o["output_type"] == "display_data"]
        tolerance = max((cell["metadata"].get("tolerance", 0) for cell in cells), default=0)
        source = (ROOT / f"snippets/labs/{lab}.py").read_text()
        found[f"labs/{lab}"] = Recorded(source, printed, tolerance or None, drawn)
    return found


def run_all(names: list[str]) -> None:
    """Body of the process that imitates a kind of processor: a line of JSON for each run that ends."""
    every = recorded()
    futures = [runner.submit(every[name].source, name, CPU_SECONDS, 4 * CPU_SECONDS) for name in names]
    for future in as_completed(futures):
        run = future.result()
        row = {"name": run.name, "stdout": run.stdout, "error": run.error, "cpu_seconds": run.cpu_seconds}
        print(json.dumps(row | {"frames": [frame(svg.decode()) for svg in run.figures]}), flush=True)


def verdict(row: dict, was: Recorded) -> str:
    """What is wrong with one run, in words; empty if it agrees."""
    if row["error"]:
        return "fails: " + row["error"].strip().splitlines()[-1]
    if message := difference(row["stdout"], was.stdout, was.tolerance):
        return message
    frames = [tuple(found) for found in row["frames"]]
    agree = len(frames) == len(was.frames) if None in was.frames else frames == was.frames
    return "" if agree else f"draws figures {frames}, recorded were {was.frames}"


def try_environment(title: str, names: list[str], keep: Path | None) -> tuple[str, dict[str, str]]:
    """Run the named sources in one environment.

    Returns:
        A line that sums up, and by name what is wrong with those that differ or fail.
    """
    environment, every, wrong, edges = ENVIRONMENTS[title], recorded(), {}, 0
    if reason := why_not(environment):
        return f"{title}: not tried; {reason}", {}
    with tempfile.TemporaryDirectory() as folder:
        variables = os.environ | environment.settings | (intel_switch(folder) if environment.intel else {})
        print(f"\n{title}: {in_effect(variables)}", flush=True)
        command, left = [sys.executable, "-m", "answerbook.audits.elsewhere", "--run", *names], set(names)
        with subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                row = json.loads(line)
                name, was = row["name"], every[row["name"]]
                left.remove(name)
                if message := verdict(row, was):
                    wrong[name] = message
                edges += not message and deviation(row["stdout"], was.stdout, was.tolerance) > 0.5
                done = f"[{len(names) - len(left)}/{len(names)}] {name}"
                print(f"{done}: {message.splitlines()[0] if message else 'agrees'}", flush=True)
                if keep:
                    with open(keep / f"{title}.jsonl", "a") as file:
                        file.write(line)
    wrong |= dict.fromkeys(left, "did not run to its end")
    agree = f"{title}: {len(names) - len(wrong)} of {len(names)} agree"
    return f"{agree}, {edges} of them by more than half of what is allowed apart", wrong


def try_all(wanted: list[str], environments: list[str] | None = None, keep: Path | None = None) -> int:
    """Print the table of sources by environment; 1 if one differs or fails.

    Args:
        wanted: <topic>/<technique> or labs/<lab>, <topic> or labs for all of it; empty: everything.
        environments: keys of ENVIRONMENTS; none: all of them.
        keep: a folder in which to write what each run printed.

    Raises:
        Trouble: there is no such source or environment.
    """
    every = recorded()
    wanted = {name.removeprefix("snippets/").removesuffix(".py") for name in wanted}
    if unknown := wanted - {*every, *(name.split("/")[0] for name in every)}:
        raise Trouble(f"snippets/{min(unknown)} does not exist; name topics, snippets or labs")
    if unknown := set(environments or ()) - set(ENVIRONMENTS):
        raise Trouble(f"{min(unknown)!r} is no environment; they are {', '.join(ENVIRONMENTS)}")
    names = [name for name in every if not wanted or {name, name.split("/")[0]} & wanted]
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    results = {title: try_environment(title, names, keep) for title in environments or ENVIRONMENTS}

    print("\nSnippets by environment; those that agree in all are not listed")
    for name in names:
        for title, (_, wrong) in results.items():
            if name in wrong:
                print(f"{name} | {title} | {wrong[name]}")
    print(*(summary for summary, _ in results.values()), sep="\n")
    return int(any(wrong for _, wrong in results.values()))


if __name__ == "__main__":  # the processes that imitate a kind of processor
    print_effect() if sys.argv[1] == "--in-effect" else run_all(sys.argv[2:])
