"""What the suites found, as the pages in docs/, and what differs from these."""

import difflib
import json

from .install import HERE, ROOT, TARGET

MATRIX, REFUSALS = ROOT / "docs" / "clients.md", ROOT / "docs" / "refusals.md"
NAMES = {"python": "Python", "python-aio": "Python, asynchronous", "node": "Node",
         "cli": "Azure CLI"}
# Whose words a suite's clients are expected to use; where they do, they are not repeated.
LIKE = {"python-aio": "python"}
THROUGH = ("own", "unchanged")
# The lines of a difference that are printed.
SHOWN = 60


def report(suites, places, bless):
    """Prints and compares what was found. Gives an exit code."""
    good = True
    for suite in suites:
        found = {place: _read(suite, place) for place in places}
        good &= _problems(suite, found)
        if set(THROUGH) <= set(places):
            good &= _settle(MATRIX, suite, _matrix(suite, found), bless)
        good &= _settle(REFUSALS, suite, _refusals(suite, found), bless)
    print("== clients: " + ("all is as it should be" if good else "FAILED"))
    return 0 if good else 1


def _read(suite, place):
    return json.loads((TARGET / "runs" / suite / place / "results.json").read_text())


def _key(step):
    return step["client"], step["operation"], step["variant"]


def _problems(suite, found):
    """Prints the steps that failed. Gives whether there is none."""
    good = True
    for place, results in found.items():
        for step in results["steps"]:
            if step["problem"]:
                good = False
                print(f"FAILED {suite}, {place}: {' '.join(_key(step))}: "
                      f"{step['problem'].splitlines()[0]}")
    return good


def _split(path, suite):
    """A page: what is before the suite's part, that part, and what is after it."""
    begin, end = f"<!-- {suite}: written by tests/clients/run -->\n", f"<!-- {suite}: end -->\n"
    before, begun, rest = path.read_text().partition(begin)
    part, ended, after = rest.partition(end)
    if not (begun and ended):
        raise RuntimeError(f"{path} has no place for {suite}")
    return before + begin, part, end + after


def _settle(path, suite, text, bless):
    """Holds `text` against the suite's part of the page, or writes it there."""
    before, old, after = _split(path, suite)
    if bless:
        path.write_text(before + text + after)
        return True
    if old == text:
        return True
    print(f"FAILED {suite}: differs from {path.relative_to(ROOT)}; PORTCULLIS_BLESS=1 renews it")
    lines = list(difflib.unified_diff(old.splitlines(), text.splitlines(), "as recorded",
                                      "as found", lineterm="", n=0))
    print("\n".join(lines[:SHOWN]))
    if len(lines) > SHOWN:
        print(f"… and {len(lines) - SHOWN} lines more")
    return False


def _matrix(suite, found):
    reference = {_key(step): step for step in found["direct"]["steps"]}
    places = {place: {_key(step): step for step in found[place]["steps"]} for place in THROUGH}
    # Client by client, in the order in which they were driven.
    keys = dict.fromkeys(key for place in THROUGH for key in places[place] if key[0] != "roles")
    clients = list(dict.fromkeys(key[0] for key in keys))
    keys = sorted(keys, key=lambda key: clients.index(key[0]))
    text = f"## {NAMES[suite]}\n\n"
    text += "".join(f"* `{name}` {version}\n" for name, version in
                    sorted(found["own"]["versions"].items()))
    text += "".join(f"\n{note}\n" for note in found["own"].get("notes", ()))
    client = None
    for key in keys:
        if key[0] != client:
            client = key[0]
            text += f"\n### {client}\n\n| operation | own host name | unchanged "
            text += "| what reached the vault |\n|---|---|---|---|\n"
        verdicts = [_verdict(places[place].get(key), reference.get(key)) for place in THROUGH]
        step = places["own"].get(key) or places["unchanged"][key]
        name = f"`{key[1]}`" + (f", {key[2]}" if key[2] else "")
        text += f"| {name} | {verdicts[0]} | {verdicts[1]} | {_calls(step)} |\n"
    return text + "\n"


def _verdict(step, reference):
    if step is None:
        return "not driven"
    if step["problem"]:
        return "**fails**: " + _cell(step["problem"].splitlines()[0])
    if not step["compared"]:
        return "pass"
    if reference is None:
        return "**fails**: not driven at the vault itself"
    if reference["problem"]:
        return "**fails** at the vault itself"
    if step["outcome"] != reference["outcome"]:
        return _cell(f"differs: {step['outcome']}, the vault itself: {reference['outcome']}")
    if step["calls"] != reference["calls"]:
        directly = ", ".join(_counted(reference["calls"])) or "nothing"
        return _cell(f"differs: at the vault itself, {directly} reached it")
    return "pass" if step["outcome"] == "ok" else f"pass ({_cell(step['outcome'])})"


def _calls(step):
    if not step["compared"]:
        return ""
    return "<br>".join(f"`{_cell(call)}`" for call in _counted(step["calls"])) or "nothing"


def _counted(calls):
    """The calls in their order, with repetitions counted."""
    counted = []
    for call in calls:
        if counted and counted[-1][0] == call:
            counted[-1][1] += 1
        else:
            counted.append([call, 1])
    return [call if times == 1 else f"{call} ×{times}" for call, times in counted]


def _cell(text):
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _refusals(suite, found):
    text = f"## {NAMES[suite]}\n\n"
    refusals = found["own"]["refusals"]
    for place in THROUGH:
        if place in found and found[place]["refusals"] != refusals:
            text += f"**{place} differs.**\n\n"
    text += "| role | may | may not |\n|---|---|---|\n"
    for entry in refusals:
        may = ", ".join(f"`{name}`" for name in entry["allowed"]) or "nothing"
        text += f"| {entry['role']} | {may} | `{entry['operation']}` |\n"
    words = [(entry, _words(entry)) for entry in refusals]
    other = LIKE.get(suite)
    told = _split(REFUSALS, other)[1] if other else ""
    if words and all(each in told for _, each in words):
        return text + f"\nClass and text are those of {NAMES[other]}, word for word.\n\n"
    for entry, each in words:
        text += f"\n### {entry['role']}: `{entry['operation']}`\n\n{each}"
    return text + "\n"


def _words(entry):
    # The service's own messages have the line ends of another system.
    message = entry["text"].replace("\r\n", "\n").rstrip("\n")
    return f"`{entry['class']}`\n\n```text\n{message}\n```\n"
