"""Values with characters that are special to systemd: prints a document with them, and compares the results.

    values.py make SEED             print a document with the values in coreos.fleet and coreos.flannel
    values.py compare SEED FILE...  compare the environments of the two services, as `env -0` prints them
    values.py cases FOLDER          compare each NAME.environment with the expected NAME.json
"""

import glob
import json
import os
import random
import sys

DRAWN = 400
LETTERS = "%\\\"'\n\t\r =$#;`,{}[]\x01\x07\x1b\x7f\x85\u00a0\u2028\ufeff\ue000ünx0sm\U0001f600"
FLANNEL = "etcd_endpoints etcd_cafile etcd_certfile etcd_keyfile etcd_username etcd_password etcd_prefix subnet_file".split()


def values(seed):
    """Names and values: the recorded ones, and random ones that follow from the seed."""
    found = {}
    here = os.path.dirname(os.path.abspath(__file__))
    for path in sorted(glob.glob(os.path.join(here, "../data/cloud-config/*.json"))):
        with open(path, encoding="utf-8") as file:
            for case in json.load(file):
                for variables in case.get("intended", {}).values():
                    for value in variables.values():
                        found[f"FLEET_RECORDED_{len(found)}"] = value
    chance = random.Random(seed)
    for number in range(DRAWN):
        found[f"FLEET_DRAWN_{number}"] = drawn(chance)
    for key in FLANNEL:
        found[f"FLANNELD_{key.upper()}"] = drawn(chance)
    return found


def drawn(chance):
    return "".join(chance.choice(LETTERS) for _ in range(chance.randrange(1, 30)))


def make(seed):
    print("#cloud-config\ncoreos:")
    for section, begin in (("fleet", "FLEET_"), ("flannel", "FLANNELD_")):
        print(f"  {section}:")
        for name, value in values(seed).items():
            if name.startswith(begin):
                key = name.removeprefix(begin).lower()
                # Each character as an escape, so that YAML and the substitution leave it alone.
                text = "".join(f"\\U{ord(letter):08x}" for letter in value)
                print(f'    {key}: "{text}"')
    print("  units:")
    for service in "fleet", "flanneld":
        print(f"    - name: {service}.service\n      command: restart")


def environment(path):
    with open(path, "rb") as file:
        pairs = (entry.partition(b"=") for entry in file.read().split(b"\0") if entry)
        return {name.decode(): value.decode() for name, _, value in pairs}


def differences(what, got, expected, begins):
    """Print each difference. Returns the number of differences."""
    wrong = [name for name, value in expected.items() if got.get(name, "") != value]
    for name in wrong:
        print(f"{what}{name}: expected {expected[name]!r}, systemd read {got.get(name)!r}")
    strange = [name for name in got if name.startswith(begins) and name not in expected]
    for name in strange:
        print(f"{what}{name}: not expected")
    return len(wrong) + len(strange)


def compare(seed, paths):
    got = {}
    for path in paths:
        got |= environment(path)
    expected = values(seed)
    wrong = differences("", got, expected, ("FLEET_", "FLANNELD_"))
    print(f"{len(expected) - wrong} of {len(expected)} values are as expected")
    return wrong == 0 and len(expected) > DRAWN


def cases(folder):
    paths = sorted(glob.glob(f"{folder}/*.json"))
    wrong = 0
    for path in paths:
        name = path.removesuffix(".json")
        with open(path, encoding="utf-8") as file:
            expected = json.load(file)
        begins = ("ETCD_", "FLEET_", "LOCKSMITHD_", "REBOOT_")
        what = f"{os.path.basename(name)}: "
        wrong += differences(what, environment(f"{name}.environment"), expected, begins) > 0
    print(f"{len(paths) - wrong} of {len(paths)} recorded drop-ins are read as expected")
    return wrong == 0 and len(paths) > 40


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(int(sys.argv[2]))
    elif sys.argv[1] == "cases":
        sys.exit(0 if cases(sys.argv[2]) else 1)
    else:
        sys.exit(0 if compare(int(sys.argv[2]), sys.argv[3:]) else 1)
