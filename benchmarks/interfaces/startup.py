"""Processor time of `patron --help`, `--version` and completion, next to `import typer, rich`: medians of 5."""

import os
import resource
import statistics
import subprocess
import sys

PATRON = "from patron.interfaces.cli import main; import sys; sys.argv[0] = 'patron'; main()"
COMPLETION = {"_PATRON_COMPLETE": "complete_bash", "COMP_WORDS": "patron ba", "COMP_CWORD": "1"}
STUDIES = {
    "import typer, rich": (["-c", "import typer, rich"], {}),
    "patron --help": (["-c", PATRON, "--help"], {}),
    "patron --version": (["-c", PATRON, "--version"], {}),
    "completion": (["-c", PATRON], COMPLETION),
}
ROUNDS = 5


def processor_seconds(arguments: list[str], environment: dict[str, str]) -> float:
    """User and system time of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, *arguments]
    subprocess.run(command, env=os.environ | environment, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - ours
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    for name, (arguments, environment) in STUDIES.items():
        median = statistics.median(processor_seconds(arguments, environment) for _ in range(ROUNDS))
        print(f"{name:20} {median:6.3f} s")


if __name__ == "__main__":
    main()
