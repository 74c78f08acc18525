"""The clients, from the public registries, in pinned versions."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
TARGET = ROOT / "target" / "clients"


def program(suite, place_file, results_file):
    """The command that runs a suite."""
    def python(packages, folder):
        return [TARGET / packages / "bin" / "python", HERE / folder / "suite.py", *arguments]

    arguments = [place_file, results_file]
    return {
        "python": python("python", "python"),
        "python-aio": [*python("python", "python"), "aio"],
        "node": ["node", "--preserve-symlinks", "--preserve-symlinks-main",
                 TARGET / "node" / "suite" / "suite.mjs", *arguments],
        "cli": python("cli", "cli"),
    }[suite]


def install(suite):
    """Installs what the suite needs, unless it is there already."""
    TARGET.mkdir(parents=True, exist_ok=True)
    if suite == "node":
        _node(suite)
    else:
        # Both kinds of Python's clients are in the same packages.
        _python(suite.removesuffix("-aio"))


def _python(suite):
    place = TARGET / suite
    wanted = HERE / suite / "requirements.txt"
    if _is_there(place, [wanted]):
        return
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    pip = [place / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--requirement", wanted], check=True)
    _note(place, [wanted])


def _node(suite):
    place, here = TARGET / suite, HERE / suite
    wanted = [here / "package.json", here / "package-lock.json"]
    if not _is_there(place, wanted):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for file in wanted:
            shutil.copy(file, place)
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        subprocess.run(["npm", "ci", *quiet], check=True, cwd=place)
        _note(place, wanted)
    # Node looks for packages beside the file that imports them.
    link = place / "suite"
    if not link.is_symlink() or os.readlink(link) != str(here):
        link.unlink(missing_ok=True)
        link.symlink_to(here)


def _sum(files):
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _is_there(place, wanted):
    note = place / "installed"
    return note.exists() and note.read_text() == _sum(wanted)


def _note(place, wanted):
    (place / "installed").write_text(_sum(wanted))
