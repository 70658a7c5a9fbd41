"""Values that are hard to hand through systemd: a document with them, and a comparison with what came out.

    values.py make             print a document whose coreos.fleet section has them all
    values.py compare FILE     FILE is a service's environment, as `env -0` prints it
"""

import glob
import json
import os
import random
import sys

DRAWN = 400
LETTERS = "%\\\"'\n\t\r =$#;,{}[]\x01\x07\x1b\x7f\x85\u00a0\u2028\ufeff\ue000ünx0sm\U0001f600"


def values():
    """Names and values, the same at each call."""
    found = {}
    here = os.path.dirname(os.path.abspath(__file__))
    for path in sorted(glob.glob(os.path.join(here, "../data/cloud-config/*.json"))):
        with open(path, encoding="utf-8") as file:
            for case in json.load(file):
                for variables in case.get("intended", {}).values():
                    for value in variables.values():
                        found[f"FLEET_RECORDED_{len(found)}"] = value
    chance = random.Random(1)
    for number in range(DRAWN):
        length = chance.randrange(30)
        found[f"FLEET_DRAWN_{number}"] = "".join(chance.choice(LETTERS) for _ in range(length))
    return found


def make():
    print("#cloud-config\ncoreos:\n  fleet:")
    for name, value in values().items():
        key = name.removeprefix("FLEET_").lower()
        # Each letter by its number, so that neither YAML nor the addresses mean anything in it.
        text = "".join(f"\\U{ord(letter):08x}" for letter in value)
        print(f'    {key}: "{text}"')
    print("  units:\n    - name: fleet.service\n      command: start")


def compare(path):
    with open(path, "rb") as file:
        pairs = (entry.partition(b"=") for entry in file.read().split(b"\0") if entry)
        got = {name.decode(): value.decode() for name, _, value in pairs}
    expected = values()
    wrong = [name for name, value in expected.items() if got.get(name) != value]
    for name in wrong:
        print(f"{name}: wrote {expected[name]!r}, systemd read {got.get(name)!r}")
    strange = [name for name in got if name.startswith("FLEET_") and name not in expected]
    for name in strange:
        print(f"{name}: nobody wrote it")
    print(f"{len(expected) - len(wrong)} of {len(expected)} values arrived")
    return not wrong and not strange and len(expected) > DRAWN


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make()
    else:
        sys.exit(0 if compare(sys.argv[2]) else 1)
