#!/usr/bin/env python3
"""Tests of our etcdctl with another server of the v2 API: Debian's etcd 3.4 with --enable-v2.

    old_etcd.py ETCDCTL OUR_URL [KEYS]

Starts that server on loopback, runs the commands for keys, and moves a tree of KEYS keys (default 20,000)
to OUR_URL. The last line is `counted PASSED FAILED`.
"""
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import move

SERVER = os.environ.get("OLD_ETCD", "/usr/bin/etcd")

# (arguments, exit code, stdout; None for any)
CASES = [
    (["set", "/old/a", "one"], 0, "one\n"),
    (["get", "/old/a"], 0, "one\n"),
    (["get", "/old/none"], 4, ""),
    (["get", "--consistent", "/old/a"], 0, "one\n"),
    (["set", "/old/a", "two", "--swap-with-value", "one"], 0, "two\n"),
    (["set", "/old/a", "x", "--swap-with-value", "one"], 4, ""),
    (["set", "/old/a", "x", "--swap-with-index", "1"], 4, ""),
    (["mk", "/old/m", "1"], 0, "1\n"),
    (["mk", "/old/m", "2"], 4, ""),
    (["update", "/old/m", "3"], 0, "3\n"),
    (["update", "/old/none", "3"], 4, ""),
    (["set", "--", "/old/odd ?#%+&key", "-5"], 0, "-5\n"),
    (["get", "/old/odd ?#%+&key"], 0, "-5\n"),
    (["rm", "/old/odd ?#%+&key"], 0, "\n"),
    (["mkdir", "/old/d"], 0, ""),
    (["mkdir", "/old/d"], 4, ""),
    (["setdir", "/old/d", "--ttl", "60"], 0, ""),
    (["setdir", "/old/d"], 0, ""),
    (["setdir", "/old/a", "--ttl", "60"], 4, ""),
    (["updatedir", "/old/d", "--ttl", "70"], 0, ""),
    (["updatedir", "/old/a", "--ttl", "70"], 4, ""),
    (["get", "/old/a"], 0, "two\n"),
    (["get", "/old/d"], 1, ""),
    (["set", "/old//d/../d/x", "in"], 0, "in\n"),
    (["ls", "--sort", "-p", "/old"], 0, "/old/a\n/old/d/\n/old/m\n"),
    (["ls", "--sort", "--recursive", "--values", "/old"], 0, "/old/a\ttwo\n/old/d\n/old/d/x\tin\n/old/m\t3\n"),
    (["watch", "--after-index", "1", "--recursive", "/old"], 0, "one\n"),
    (["watch", "--after-index", "1", "--exit-after", "2", "/old/a"], 0, "one\ntwo\n"),
    (["-o", "extended", "get", "/old/m"], 0, None),
    (["-o", "json", "rm", "/old/m"], 0, None),
    (["rmdir", "/old/d"], 4, ""),
    (["rm", "/old/d"], 4, ""),
    (["rm", "--with-value", "no", "/old/a"], 4, ""),
    (["rm", "--with-value", "two", "/old/a"], 0, "\n"),
    (["member", "list"], 0, None),
    (["cluster-health"], 0, None),
    (["config", "get"], 4, ""),
    (["rm", "--recursive", "/old"], 0, ""),
    (["ls", "/old"], 4, ""),
]


def free_ports(count):
    """Free ports below the range of ports for outgoing connections."""
    held = []
    while len(held) < count:
        try:
            held.append(socket.create_server(("127.0.0.1", random.randrange(10000, 32000))))
        except OSError:
            pass
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def start(directory):
    client, peer = ["http://127.0.0.1:%d" % port for port in free_ports(2)]
    with open(os.path.join(directory, "log"), "w") as log:
        server = subprocess.Popen(
            [SERVER, "--enable-v2", "--name", "old", "--data-dir", os.path.join(directory, "data"),
             "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
             "--initial-advertise-peer-urls", peer, "--initial-cluster", "old=" + peer], stdout=log, stderr=log)
    for _ in range(100):
        try:
            urllib.request.urlopen(client + "/v2/keys/", timeout=1)
            return server, client
        except OSError:
            time.sleep(0.1)
    server.kill()
    sys.exit("etcd 3.4 did not start: " + open(os.path.join(directory, "log")).read()[-2000:])


def main():
    etcdctl, ours = sys.argv[1:3]
    keys = int(sys.argv[3]) if len(sys.argv) > 3 else 20_000
    passed = failed = 0
    with tempfile.TemporaryDirectory() as directory:
        server, old = start(directory)
        try:
            for arguments, code, stdout in CASES:
                done = subprocess.run([etcdctl, "-C", old] + arguments, capture_output=True, text=True, timeout=60)
                good = done.returncode == code and stdout in (None, done.stdout)
                passed, failed = passed + good, failed + (not good)
                if not good:
                    print("FAIL etcd 3.4: %s: exit %d, wanted %d; printed %r, wanted %r; %s" % (
                        " ".join(arguments), done.returncode, code, done.stdout, stdout, done.stderr.strip()))
            faults = move.move(etcdctl, old, ours, keys)
            for fault in faults:
                print("FAIL move", fault)
            passed, failed = passed + (not faults), failed + bool(faults)
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait()
    print("counted %d %d" % (passed, failed))


if __name__ == "__main__":
    main()
