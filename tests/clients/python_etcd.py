"""Tests with python-etcd, as programs used it. Prints a line for each failure and `counted PASSED FAILED`."""
import sys
import threading
import time
import traceback
import urllib.parse

import etcd

TOP = "/clients-python"


def basics(client):
    result = client.write(TOP + "/a", "one")
    assert result.newKey and result.action == "set", result
    result = client.read(TOP + "/a")
    assert result.value == "one" and result.etcd_index >= result.modifiedIndex, result
    assert client.set(TOP + "/a", "zwei ü & % +").value == "zwei ü & % +"
    assert client.get(TOP + "/a").value == "zwei ü & % +"
    assert (TOP + "/a") in client and (TOP + "/none") not in client
    assert client.delete(TOP + "/a").action == "delete"
    raises(etcd.EtcdKeyNotFound, client.read, TOP + "/a")


def conditions(client):
    client.write(TOP + "/c", "one", prevExist=False)
    raises(etcd.EtcdAlreadyExist, client.write, TOP + "/c", "two", prevExist=False)
    swapped = client.test_and_set(TOP + "/c", "two", "one")
    assert swapped.action == "compareAndSwap" and swapped._prev_node.value == "one", swapped
    raises(etcd.EtcdCompareFailed, client.test_and_set, TOP + "/c", "three", "one")
    client.write(TOP + "/c", "three", prevIndex=swapped.modifiedIndex)
    raises(etcd.EtcdCompareFailed, client.write, TOP + "/c", "four", prevIndex=swapped.modifiedIndex)
    raises(etcd.EtcdCompareFailed, client.delete, TOP + "/c", prevValue="other")
    assert client.delete(TOP + "/c", prevValue="three").action == "compareAndDelete"
    raises(etcd.EtcdKeyNotFound, client.write, TOP + "/none", "x", prevExist=True)


def directories(client):
    client.write(TOP + "/d", None, dir=True)
    raises(etcd.EtcdNotFile, client.write, TOP + "/d", "x")
    for name in ("b", "a", "c/deep"):
        client.write(TOP + "/d/" + name, name)
    keys = [leaf.key for leaf in client.read(TOP + "/d", recursive=True, sorted=True).leaves]
    assert keys == [TOP + "/d/a", TOP + "/d/b", TOP + "/d/c/deep"], keys
    raises(etcd.EtcdDirNotEmpty, client.delete, TOP + "/d", dir=True)
    raises(etcd.EtcdNotDir, client.write, TOP + "/d/a/below", "x")
    client.delete(TOP + "/d", recursive=True)
    raises(etcd.EtcdKeyNotFound, client.read, TOP + "/d")


def in_order(client):
    made = [client.write(TOP + "/queue", str(n), append=True) for n in range(12)]
    keys = [one.key for one in made]
    assert keys == sorted(keys) and len(set(keys)) == 12, keys
    values = [leaf.value for leaf in client.read(TOP + "/queue", sorted=True).leaves]
    assert values == [str(n) for n in range(12)], values


def time_to_live(client):
    result = client.write(TOP + "/t", "x", ttl=1)
    assert result.ttl == 1 and result.expiration, result
    time.sleep(2.2)
    raises(etcd.EtcdKeyNotFound, client.read, TOP + "/t")
    client.write(TOP + "/t", "x", ttl=100)
    client.refresh(TOP + "/t", ttl=200)
    refreshed = client.read(TOP + "/t")
    assert refreshed.value == "x" and 198 <= refreshed.ttl <= 200, refreshed
    client.write(TOP + "/t", "x", ttl="")
    assert client.read(TOP + "/t").ttl is None


def watching(client):
    start = client.write(TOP + "/w/k", "0").modifiedIndex
    threading.Timer(0.3, lambda: client.write(TOP + "/w/k", "1")).start()
    event = client.watch(TOP + "/w/k", timeout=10)
    assert event.value == "1" and event._prev_node.value == "0", event
    event = client.watch(TOP + "/w", index=start, recursive=True, timeout=10)
    assert event.value == "0" and event.modifiedIndex == start, event
    threading.Timer(0.3, lambda: client.write(TOP + "/w/new/deep", "2")).start()
    event = client.read(TOP + "/w", wait=True, recursive=True, timeout=10)
    assert event.key == TOP + "/w/new/deep", event
    raises(etcd.EtcdWatchTimedOut, client.watch, TOP + "/w/k", timeout=1)
    for number, event in enumerate(client.eternal_watch(TOP + "/w", index=start, recursive=True)):
        if number == 2:
            break
    assert event.value == "2", event


def locks(client):
    one, two = etcd.Lock(client, "clients"), etcd.Lock(client, "clients")
    assert one.acquire(blocking=True, lock_ttl=30) and one.is_acquired
    assert not two.acquire(blocking=False), "two hold it"
    threading.Timer(0.5, one.release).start()
    began = time.monotonic()
    assert two.acquire(blocking=True, lock_ttl=30, timeout=10) and two.is_acquired
    assert time.monotonic() - began > 0.3
    two.release()
    assert not one.is_acquired and not two.is_acquired


def members(client):
    # Its `leader` asks /v2/members, which 0.4 does not have.
    assert client.stats["leaderInfo"]["leader"], "no leader"
    assert client.machines, "no machines"
    assert client.store_stats["setsSuccess"] > 0


def raises(kind, call, *args, **kwargs):
    try:
        got = call(*args, **kwargs)
    except kind:
        return
    raise AssertionError("%s was expected, not %s" % (kind.__name__, got))


def main():
    url = urllib.parse.urlsplit(sys.argv[1])
    passed = failed = 0
    for case in (basics, conditions, directories, in_order, time_to_live, watching, locks, members):
        client = etcd.Client(host=url.hostname, port=url.port, allow_reconnect=False, read_timeout=20)
        try:
            if TOP in client:
                client.delete(TOP, recursive=True)
            case(client)
            passed += 1
        except Exception as error:
            failed += 1
            line = traceback.extract_tb(error.__traceback__)[1].lineno
            print("FAIL python-etcd %s, line %d: %s: %s" % (case.__name__, line, type(error).__name__, error))
    print("counted %d %d" % (passed, failed))


if __name__ == "__main__":
    main()
