#!/usr/bin/env python3
"""Moves the tree of another etcd to ours with `export` and `import`, and compares them.

    move.py ETCDCTL FROM_URL TO_URL [KEYS]

Writes a tree of KEYS keys (default 100,000) to FROM, some with a time to live, in directories of which some
are empty and some have a time to live; moves it to TO; and compares both. A second import must change
nothing. Exit status 1 if anything differs.
"""
import json
import subprocess
import sys
import time
import urllib.request
from datetime import datetime

TTL_DIFFERENCE_MAX = 2
SECONDS_MAX = 30


def fill(count):
    """A tree in the format of `export`."""
    nodes = []
    for number in range(count):
        directory = "/move/d%03d/e%d" % (number % 500, number % 7)
        node = {"key": "%s/k%06d" % (directory, number), "value": "value %d <&> \u00fc\n" % number}
        if number % 3 == 0:
            node["ttl"] = 600 + number % 3000
        nodes.append(node)
    nodes += [{"key": "/move/empty%d" % number} for number in range(100)]
    nodes += [{"key": "/move/empty-leased", "ttl": 700}, {"key": "/move/d000", "ttl": 900}]
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"format": "etcd-v2-tree/1", "server": "made up", "exported": now, "etcdIndex": 0, "prefix": "/move",
            "nodes": nodes}


def run(etcdctl, url, *arguments, text=None):
    done = subprocess.run([etcdctl, "-C", url, *arguments], input=text, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("%s ended with %d: %s" % (" ".join(arguments), done.returncode, done.stderr))
    return done.stdout


def tree(url):
    """Every key below /move, with its value and its expiration in whole seconds."""
    with urllib.request.urlopen(url + "/v2/keys/move?recursive=true", timeout=60) as answer:
        nodes, found = [json.load(answer)["node"]], {}
    while nodes:
        node = nodes.pop()
        goes = node.get("expiration")
        goes = goes and datetime.fromisoformat(goes[:19]).timestamp()
        found[node["key"]] = (node.get("dir", False), node.get("value"), goes)
        nodes += node.get("nodes", [])
    return found


def differences(one, other):
    for key in sorted(one.keys() | other.keys()):
        a, b = one.get(key), other.get(key)
        if a is None or b is None or a[:2] != b[:2] or (a[2] is None) != (b[2] is None):
            yield "%s: %s there, %s here" % (key, a, b)
        elif a[2] is not None and abs(a[2] - b[2]) > TTL_DIFFERENCE_MAX:
            yield "%s: lives %d s longer here" % (key, b[2] - a[2])


def move(etcdctl, source, target, count):
    """A list of differences."""
    faults = []
    run(etcdctl, source, "import", text=json.dumps(fill(count)))
    began = time.monotonic()
    dump = run(etcdctl, source, "export", "--prefix", "/move")
    exported = time.monotonic()
    run(etcdctl, target, "import", text=dump)
    ended = time.monotonic()
    print("moved %d keys: exported in %.1f s, imported in %.1f s" % (count, exported - began, ended - exported))
    if ended - began > SECONDS_MAX:
        faults.append("it took %.1f s" % (ended - began))
    there, here = tree(source), tree(target)
    if len(there) < count:
        faults.append("only %d nodes are there" % len(there))
    faults += list(differences(there, here))[:10]
    run(etcdctl, target, "import", text=dump)
    faults += list("again: " + difference for difference in differences(there, tree(target)))[:10]
    run(etcdctl, target, "rm", "--recursive", "/move")
    return faults


if __name__ == "__main__":
    found = move(*sys.argv[1:4], int(sys.argv[4]) if len(sys.argv) > 4 else 100_000)
    print("\n".join(found))
    sys.exit(1 if found else 0)
