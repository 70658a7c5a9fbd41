# The cases of tests/system/run. A case fails with its first command that fails.
#
# shellcheck shell=bash

# fail MESSAGE: print a message and end the case.
fail() { echo "  $*" >&2; exit 1; }

# within SECONDS COMMAND...: repeat a command until it succeeds.
within() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { "$@" || true; fail "timeout: $*"; }
    sleep 0.1
  done
}

# is EXPECTED COMMAND...: check the output of a command.
is() {
  local expected=$1 found
  shift
  found=$("$@") || fail "failed: $*"
  [ "$found" = "$expected" ] || fail "$*: $found, expected $expected"
}

# boot_new HOST: boot a new host without the package.
boot_new() { host_make "$1" && host_boot "$1"; }

# install HOST [FILE]: install the package with apt on a running host.
install() {
  cp "${2:-$SYSTEM_DEB}" "$(host_disk "$1")/root/oxetcd.deb"
  host_run "$1" DEBIAN_FRONTEND=noninteractive apt-get install -y -q /root/oxetcd.deb >"$HOSTS_STATE/$1/apt" 2>&1 ||
    { cat "$HOSTS_STATE/$1/apt" >&2; fail "the package was not installed on $1"; }
}

# install_on_disk HOST: install the package on a new disk that is not booted.
install_on_disk() {
  host_make "$1"
  cp "$SYSTEM_DEB" "$(host_disk "$1")/root/oxetcd.deb"
  chroot "$(host_disk "$1")" dpkg -i /root/oxetcd.deb >"$HOSTS_STATE/$1/apt" 2>&1 ||
    { cat "$HOSTS_STATE/$1/apt" >&2; fail "the package was not installed on $1"; }
}

# user_data HOST: store the cloud-config on stdin where cloud-init stores it.
user_data() {
  mkdir -p "$(host_disk "$1")/var/lib/cloud/instance"
  cat >"$(host_disk "$1")/var/lib/cloud/instance/user-data.txt"
}

# install_debian HOST PACKAGE...: install Debian packages on a disk that is not booted.
install_debian() {
  local disk
  disk=$(host_disk "$1")
  chroot "$disk" sh -c 'apt-get update -q && apt-get install -y -q --no-install-recommends "$@"' - "${@:2}" \
    >"$HOSTS_STATE/$1/apt" 2>&1 || { cat "$HOSTS_STATE/$1/apt" >&2; fail "not installed on $1: ${*:2}"; }
}

# print_discovery_config URL NAME: print a cloud-config with that discovery URL.
print_discovery_config() {
  cat <<END
#cloud-config
coreos:
  etcd:
    name: $2
    discovery: $1
    addr: \$private_ipv4:4001
    peer-addr: \$private_ipv4:7001
  exec-watch:
    - name: seen
      key: /seen
      recursive: true
      command: ["/bin/sh", "-c", "echo \$ETCD_WATCH_KEY \$ETCD_WATCH_MODIFIED_INDEX >>/var/tmp/seen"]
  units:
    - name: etcd.service
      command: start
END
}

# print_peers_config NUMBER: print /etc/default/etcd of h1, h2 or h3.
print_peers_config() {
  local own peers=
  own=$(host_address "h$1")
  [ "$1" = 1 ] || peers="ETCD_PEERS=$(host_address h1):7001"
  printf 'ETCD_NAME=h%s\nETCD_ADDR=%s:4001\nETCD_PEER_ADDR=%s:7001\n%s\n' "$1" "$own" "$own" "$peers"
}

get() { host_run "$1" curl -sfL -m 2 "http://$(host_address "$1"):4001/v2/keys$2"; }
put() { host_run "$1" curl -sfL -o /dev/null -m 2 -X PUT "http://$(host_address "$1"):4001/v2/keys$2" -d "value=$3"; }
has_value() { get "$1" "$2" | grep -q "\"value\":\"$3\""; }
# has_voters HOST COUNT: whether the cluster of a host has COUNT voters.
has_voters() { host_run "$1" systemctl show -P StatusText etcd | grep -qE "(leader of|one of) $2,"; }
# print_names HOST: print the names of the members in order.
print_names() { get "$1" '/_etcd/machines?sorted=true' | grep -o '"/_etcd/machines/[^"]*"' | tr -d '"' | sed 's,.*/,,' | xargs; }
is_active() { [ "$(host_run "$1" systemctl is-active "$2")" = active ]; }

case_package() {
  boot_new h1
  install h1
  within 20 is_active h1 etcd
  host_run h1 etcdctl set /message hello
  is hello host_run h1 etcdctl get /message
  is etcd host_run h1 stat -c %U /var/lib/etcd
  host_run h1 'curl -s http://127.0.0.1:4001/v2/keys/_etcd/machines | grep -q "$(cat /etc/machine-id)"'

  # The state that systemd shows.
  within 10 host_run h1 'systemctl show -P StatusText etcd | grep -q "^leader of 1, index "'
  host_run h1 'systemctl show etcd -p Type,NotifyAccess,WatchdogUSec | grep -q WatchdogUSec=30s'
  # The journal has levels and fields.
  host_run h1 'journalctl -u etcd -o json | grep "serving clients" | grep -q "\"PRIORITY\":\"6\""'
  host_run h1 'journalctl -u etcd ETCD_TERM=2 -o cat | grep -q "became leader"'
  is "" host_run h1 journalctl -u etcd -p warning -o cat --quiet
  is "" host_run h1 'systemd-analyze verify --man=no /usr/lib/systemd/system/etcd* 2>&1'
  host_run h1 'systemd-analyze security etcd.service' | awk '/Overall exposure/ { exit !($(NF-2) < 2.0) }'

  # A reload reads the options.
  host_run h1 'echo "verbose = true" >/etc/etcd/etcd.conf && systemctl reload etcd'
  within 5 host_run h1 'journalctl -u etcd -o cat | grep -q "configuration reloaded"'
  # It stops in time and has its data after a reboot.
  local begun
  begun=$(date +%s%N)
  host_run h1 systemctl stop etcd
  [ $(($(date +%s%N) - begun)) -lt 2000000000 ] || fail "it took too long to stop"
  host_reboot h1
  within 20 is_active h1 etcd
  is hello host_run h1 etcdctl get /message
}

case_sockets() {
  boot_new h1
  install h1
  within 20 is_active h1 etcd
  host_run h1 'systemctl disable --now etcd.service && systemctl enable --now etcd.socket etcd-peer.socket'
  is inactive host_run h1 'systemctl is-active etcd || true'
  # A connection waits until the service serves.
  is 'etcd 0.4.6' host_run h1 curl -s http://127.0.0.1:4001/version
  within 10 is_active h1 etcd
  host_run h1 curl -sf http://127.0.0.1:7001/name
  host_run h1 'systemctl stop etcd.service'
  is 'etcd 0.4.6' host_run h1 curl -s http://127.0.0.1:4001/version
}

case_watchdog() {
  boot_new h1
  install h1
  within 20 is_active h1 etcd
  host_run h1 'mkdir -p /etc/systemd/system/etcd.service.d && printf "[Service]\nWatchdogSec=2\n" \
    >/etc/systemd/system/etcd.service.d/w.conf && systemctl daemon-reload && systemctl restart etcd'
  # It is not restarted while it sends keep-alives.
  sleep 5
  is 0 host_run h1 systemctl show -P NRestarts etcd
  host_run h1 'kill -STOP $(systemctl show -P MainPID etcd)'
  within 20 host_run h1 '[ "$(systemctl show -P NRestarts etcd)" = 1 ]'
  within 20 is_active h1 etcd
}

case_no_loop() {
  boot_new h1
  install h1
  within 20 is_active h1 etcd
  # A data directory with files of another program.
  host_run h1 'systemctl stop etcd && rm -rf /var/lib/etcd/* && install -d -o etcd -g etcd /var/lib/etcd/holiday'
  host_run h1 'systemctl start etcd' && fail "it started"
  sleep 3
  is failed host_run h1 'systemctl is-active etcd || true'
  is 65 host_run h1 systemctl show -P ExecMainStatus etcd
  is 0 host_run h1 systemctl show -P NRestarts etcd
  # An option that is not valid.
  host_run h1 'rm -r /var/lib/etcd/holiday && echo ETCD_SNAPSHOT_COUNT=many >>/etc/default/etcd'
  host_run h1 'systemctl start etcd' && fail "it started"
  is 78 host_run h1 systemctl show -P ExecMainStatus etcd
  host_run h1 'sed -i /MANY/Id /etc/default/etcd && systemctl start etcd'
  within 20 is_active h1 etcd
}

case_purge() {
  local left
  files() {
    host_run h1 'find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /root \
      -o -path /var/log -o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/lib/systemd \
      \) -prune -o -print; find /run/systemd/system /etc/systemd 2>/dev/null; cut -d: -f1 /etc/passwd /etc/group' | sort
  }
  boot_new h1
  files >"$HOSTS_STATE/before"
  install h1
  within 20 is_active h1 etcd
  host_run h1 etcdctl set /a 1
  host_run h1 'systemctl enable etcd.socket && systemctl enable --now etcd-discovery'
  host_run h1 apt-get remove -y -q oxetcd >/dev/null 2>&1
  is inactive host_run h1 'systemctl is-active etcd || true'
  host_run h1 test -d /var/lib/etcd/wal
  # Installed again, it has its data.
  install h1
  within 20 is_active h1 etcd
  is 1 host_run h1 etcdctl get /a
  host_run h1 apt-get remove -y -q oxetcd >/dev/null 2>&1
  host_run h1 apt-get purge -y -q oxetcd >/dev/null 2>&1
  files >"$HOSTS_STATE/after"
  left=$(diff "$HOSTS_STATE/before" "$HOSTS_STATE/after" | grep '^[<>]' | grep -vE ' /etc/(passwd|group|shadow|gshadow)-$| /etc/\.pwd\.lock$') || true
  rm "$HOSTS_STATE/before" "$HOSTS_STATE/after"
  [ -z "$left" ] || fail "left behind: $left"
  # Installed once more.
  install h1
  within 20 is_active h1 etcd
}

# build_later_version VERSION: print the path of a repository with the same files as a package of that version.
build_later_version() {
  local work=$HOSTS_STATE/h4/later name
  rm -rf "$work"
  mkdir -p "$work/repository"
  dpkg-deb -R "$SYSTEM_DEB" "$work/files"
  sed -i "s/^Version: .*/Version: $1/" "$work/files/DEBIAN/control"
  name=oxetcd_$1_amd64.deb
  dpkg-deb -b "$work/files" "$work/repository/$name" >/dev/null
  (
    cd "$work/repository"
    dpkg-deb -f "$name" | sed '/^$/d'
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n' "$name" "$(stat -c %s "$name")" "$(sha256sum "$name" | cut -d' ' -f1)"
  ) >"$work/Packages"
  mv "$work/Packages" "$work/repository"
  echo "$work/repository"
}

# upgrade HOST REPOSITORY: upgrade with apt.
upgrade() {
  cp -r "$2" "$(host_disk "$1")/root/repository"
  host_run "$1" 'rm -f /etc/apt/sources.list && echo "deb [trusted=yes] file:/root/repository ./" >/etc/apt/sources.list.d/next.list'
  host_run "$1" 'apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get upgrade -y -q' >"$HOSTS_STATE/$1/apt" 2>&1 ||
    { cat "$HOSTS_STATE/$1/apt" >&2; fail "$1 was not upgraded"; }
}

# boot_with_token HOST TOKEN: boot a new disk with the package and a cloud-config.
boot_with_token() {
  install_on_disk "$1"
  print_discovery_config "$2" "$1" | user_data "$1"
  host_boot "$1"
}

# form_cluster: boot h1, h2 and h3 at once with a token of the discovery service on h4; the token is in the file
# `token`.
form_cluster() {
  local number token boots
  boot_new h4
  install h4
  host_run h4 "printf 'ETCD_DISCOVERY_ADDR=%s:8087\n' $(host_address h4) >/etc/default/etcd-discovery"
  host_run h4 systemctl disable --now --quiet etcd
  host_run h4 systemctl enable --now --quiet etcd-discovery
  token=$(host_run h4 curl -sf "http://$(host_address h4):8087/new?size=3")
  echo "$token" >"$HOSTS_STATE/h4/token"
  # Each by its id, since the hosts are child processes too.
  boots=()
  for number in 1 2 3; do
    boot_with_token "h$number" "$token" &
    boots+=($!)
  done
  for number in "${boots[@]}"; do wait "$number"; done
  for number in 1 2 3; do within 60 is_active "h$number" etcd; done
  within 30 put h1 /seen/1 yes
  for number in 1 2 3; do within 30 has_value "h$number" /seen/1 yes; done
  check_health
}

# check_health: check that there are three members with a leader.
check_health() {
  local number
  for number in 1 2 3; do within 60 has_voters "h$number" 3; done
  is "h1 h2 h3" print_names h2
  for number in 1 2 3; do
    within 10 host_run "h$number" "etcdctl --peers $(host_address "h$number"):4001 cluster-health"
  done
}

# check_hook HOST KEY...: check that the hook of a host ran once for each of these keys below /seen and for no others.
# Changes are identified by their index.
check_hook() {
  local host=$1 lines='sort /var/tmp/seen | uniq | wc -l'
  shift
  within 30 host_run "$host" "[ \"\$($lines)\" -ge $# ]"
  is "$(printf '%s\n' "$@" | sort | xargs)" host_run "$host" "cut -d' ' -f1 /var/tmp/seen | sort | xargs"
}

case_cloud_config() {
  local round number
  for round in $(seq "${SYSTEM_ROUNDS:-1}"); do
    form_cluster
    for number in 2 3 4 5; do put "h$((number % 3 + 1))" "/seen/$number" yes; done
    for number in 1 2 3; do check_hook "h$number" /seen/1 /seen/2 /seen/3 /seen/4 /seen/5; done
    [ "$round" = "${SYSTEM_ROUNDS:-1}" ] || hosts_end
  done
}

# Reboots, partitions, power failures, a lost disk and an upgrade, without manual steps.
case_life() {
  local number token writer work last
  form_cluster
  token=$(cat "$HOSTS_STATE/h4/token")
  work=$HOSTS_STATE/h4

  host_reboot h2 &
  number=$!
  within 30 put h1 /seen/rebooted yes
  wait "$number"
  within 30 has_value h2 /seen/rebooted yes
  check_health

  host_cut h3
  within 30 put h1 /seen/cut yes
  sleep 3
  host_heal h3
  within 30 has_value h3 /seen/cut yes
  check_health
  for number in 1 2 3; do check_hook "h$number" /seen/1 /seen/rebooted /seen/cut; done

  # Power failure of all hosts; the discovery service starts last.
  for number in 1 2 3 4; do host_crash "h$number"; done
  for number in 1 2 3; do host_boot "h$number"; done
  within 30 put h1 /seen/dark yes
  check_health
  host_boot h4
  for number in 1 2 3; do check_hook "h$number" /seen/1 /seen/rebooted /seen/cut /seen/dark; done

  # Power failure and loss of the disk; the new disk has the same package and cloud-config.
  host_crash h1
  within 30 put h2 /seen/lost yes
  host_end h1
  boot_with_token h1 "$token"
  within 60 has_value h1 /seen/lost yes
  check_health
  for number in 2 3; do check_hook "h$number" /seen/1 /seen/rebooted /seen/cut /seen/dark /seen/lost; done
  # The hook on the new disk has no state: it starts with the next change.
  within 30 is_active h1 etcd-hooks

  # A client that tries every member before a write counts as failed.
  (
    count=0
    until [ -e "$work/stop" ]; do
      count=$((count + 1))
      done=
      for try in 1 2 3 4 5 6 7 8 9; do
        if put "h$((try % 3 + 1))" "/seen/load/$count" x >/dev/null; then done=yes && break; fi
        sleep 0.3
      done
      echo "$count ${done:-FAILED}"
    done >"$work/writes"
  ) &
  writer=$!
  trap "kill $writer 2>/dev/null || true" EXIT
  build_later_version 99.0-1 >/dev/null
  for number in 1 2 3; do
    upgrade "h$number" "$work/later/repository"
    is 99.0-1 host_run "h$number" dpkg-query -W -f '${Version}' oxetcd
    within 30 is_active "h$number" etcd
    within 30 is_active "h$number" etcd-hooks
    within 30 has_voters "h$number" 3
  done
  touch "$work/stop"
  wait "$writer"
  grep -q FAILED "$work/writes" && fail "a write failed"
  last=$(wc -l <"$work/writes")
  [ "$last" -gt 10 ] || fail "too few writes"
  check_health
  # A repeated write may have been applied twice; the hook ran once for each change, on all hosts.
  for number in 1 2 3; do
    within 30 host_run "h$number" "grep -q '^/seen/load/$last ' /var/tmp/seen"
    is "$(seq "$last" | sort | xargs)" host_run "h$number" \
      "sed -n 's,^/seen/load/\\([0-9]*\\) .*,\\1,p' /var/tmp/seen | sort -u | xargs"
    is "" host_run "h$number" "sort /var/tmp/seen | uniq -d"
    host_run "h$number" "grep /load/ /var/tmp/seen | sort" >"$work/seen.$number"
  done
  cmp "$work/seen.1" "$work/seen.2" && cmp "$work/seen.1" "$work/seen.3" || fail "the hooks saw different changes"

  # Removal of the package.
  host_run h3 apt-get remove -y -q oxetcd >/dev/null 2>&1
  is "" host_run h3 'cat /proc/[0-9]*/comm | grep etcd || true'
  host_run h3 test -d /var/lib/etcd/wal
  host_run h3 apt-get purge -y -q oxetcd >/dev/null 2>&1
  is "" host_run h3 'find / -xdev \( -path /proc -o -path /sys -o -path /root -o -path /var/log -o -path /var/lib/apt \
    -o -path /var/cache -o -path /var/lib/cloud \) -prune -o -iname "*etcd*" -print; find /run -xdev -iname "*etcd*"'
  is "" host_run h3 'grep -l etcd /etc/passwd /etc/group || true'
}

# print_section PAGE SECTION: print a section of a page of docs/.
print_section() {
  awk -v section="## $2" '/^## / { inside = $0 == section } inside' "docs/$1"
}

# print_block PAGE SECTION NUMBER: print a block of commands for a host, with the addresses of the hosts.
print_block() {
  print_section "$1" "$2" | awk -v number="$3" '
    /^```sh host$/ { count++; code = count == number; next }
    /^```$/ { code = 0 }
    code' | sed "s/10\.0\.0\.\([0-9]\)\b/$HOSTS_NET.1\1/g"
}

# The section of docs/operations.md on the package.
case_readme() {
  local unit path
  boot_new h1
  boot_new h2
  mkdir -p "$(host_disk h2)/root/target/package"
  cp "$SYSTEM_DEB" "$(host_disk h2)/root/target/package"
  # Without the build.
  host_run h2 "cd /root && $(print_block operations.md "Install it" 1 | grep -v '^packaging/build$')" >"$HOSTS_STATE/h2/apt" 2>&1 ||
    { cat "$HOSTS_STATE/h2/apt" >&2; fail "not installed"; }
  within 20 is_active h2 etcd
  host_run h2 "set -e; export PAGER=cat; $(print_block operations.md "Install it" 2)" >/dev/null
  # The first member, then this one.
  install h1
  print_peers_config 1 >"$(host_disk h1)/etc/default/etcd"
  host_run h1 systemctl restart etcd
  host_run h2 "set -e; $(print_block operations.md "Install it" 3)"
  within 30 has_voters h2 2
  is "h1 n2" print_names h2
  within 10 host_run h2 'systemctl status etcd | grep -q "follower of h1\|leader of 2"'
  # All units and paths in it exist.
  for unit in $(print_section operations.md "Install it" | sed -n 's/^| \(.*\) | .*/\1/p' | grep -o '`[^`]*`' | tr -d '`'); do
    host_run h2 "systemctl cat ${unit/NAME/x}" >/dev/null || fail "no $unit"
  done
  for path in $(print_section operations.md "Install it" | grep -oE '/(etc|var)/[a-z./-]+[a-z]' | sort -u); do
    case $path in /var/lib/cloud/* | /var/lib/etcd-before-oxetcd) ;; *) host_run h2 test -e "$path" || fail "no $path" ;; esac
  done
  printf 'key: /a\ncommand: touch /run/seen\n' >"$(host_disk h2)/etc/etcd/hooks.d/x.yaml"
  host_run h2 'systemctl start etcd-hook@x && etcdctl set /a 1'
  within 10 host_run h2 test -e /run/seen
  host_run h2 'systemctl start etcd-hooks && systemctl start etcd-discovery'
  is inactive host_run h2 'systemctl is-active etcd-hook@x || true'
  host_run h2 'etcdctl set /a 2'
  # The block on hooks: the hook's own service replaces the one for all hooks.
  printf 'key: /services\ncommand: touch /run/proxy\n' >"$(host_disk h2)/etc/etcd/hooks.d/proxy.yaml"
  host_run h2 "export PAGER=cat; $(print_block hooks.md "Running hooks" 1)" >/dev/null
  within 10 is_active h2 etcd-hook@proxy
  is inactive host_run h2 'systemctl is-active etcd-hooks || true'
  host_run h2 'etcdctl set /services 1'
  within 10 host_run h2 test -e /run/proxy

  # The section on cloud-config, with an equivalent document.
  cat >"$(host_disk h2)/root/user-data.yaml" <<END
#cloud-config
coreos:
  etcd:
    name: n2
    addr: $(host_address h2):4001
    peer-addr: $(host_address h2):7001
    peers: $(host_address h1):7001
END
  host_run h2 "set -e; cd /root; $(print_block cloud-config.md "Run it on a host" 1)"
  within 20 is_active h2 etcd
  within 30 has_voters h2 2
  host_run h2 "export PAGER=cat; $(print_block cloud-config.md "Run it on a host" 2)" >/dev/null
  within 20 is_active h2 etcd
  within 30 has_voters h2 2
}

# The .rpm: installed, upgraded and removed on a host with rpm.
case_rpm() {
  local rpm disk before
  rpm=$(echo "${SYSTEM_DEB%/*}"/oxetcd-*.rpm)
  host_make h1
  disk=$(host_disk h1)
  install_debian h1 rpm
  cp "$rpm" "$disk/root/oxetcd.rpm"
  host_boot h1
  # Without dependencies, since Debian's systemd is not in the database of rpm.
  host_run h1 rpm -i --nodeps /root/oxetcd.rpm
  host_run h1 systemctl start etcd
  host_run h1 etcdctl set /message hello
  is "" host_run h1 'systemd-analyze verify --man=no /usr/lib/systemd/system/etcd* 2>&1'
  before=$(host_run h1 systemctl show -P MainPID etcd)
  host_run h1 'echo "# mine" >>/etc/etcd/etcd.conf && rpm -U --nodeps --replacepkgs /root/oxetcd.rpm'
  [ "$(host_run h1 systemctl show -P MainPID etcd)" != "$before" ] || fail "it was not restarted"
  host_run h1 tail -n 1 /etc/etcd/etcd.conf | grep -qx '# mine' || fail "its configuration was replaced"
  is hello host_run h1 etcdctl get /message
  host_run h1 rpm -e oxetcd
  is "" host_run h1 'cat /proc/[0-9]*/comm | grep etcd || true'
  is "" host_run h1 'find /usr /etc/systemd -iname "*etcd*"'
  host_run h1 test -d /var/lib/etcd/wal
}

# With Debian's cloud-init, which applies its part of the document.
case_cloud_init() {
  local disk seed
  install_on_disk h1
  install_debian h1 cloud-init
  disk=$(host_disk h1)
  seed=$disk/var/lib/cloud/seed/nocloud
  mkdir -p "$seed"
  printf 'instance-id: i-1\nlocal-hostname: h1\n' >"$seed/meta-data"
  cat >"$seed/user-data" <<'END'
#cloud-config
write_files:
  - path: /root/written
    content: by cloud-init
coreos:
  etcd:
    name: by etcd-cloudinit
    addr: $private_ipv4:4001
    peer-addr: $private_ipv4:7001
  units:
    - name: etcd.service
      command: start
END
  host_boot h1
  within 60 is_active h1 etcd
  is "by etcd-cloudinit" print_names h1
  is "by cloud-init" host_run h1 cat /root/written
  is "" host_run h1 'journalctl -b -o cat | grep -i "ordering cycle" || true'
  # It founds one cluster, at the first start.
  is 1 host_run h1 'journalctl -u etcd -o cat | grep -c "cluster founded"'
}

# Replacing Debian's etcd, whose data must be kept.
case_debian() {
  host_make h1
  install_debian h1 etcd-server etcd-client
  host_boot h1
  within 20 is_active h1 etcd
  host_run h1 'ETCDCTL_API=3 etcdctl put old value'
  install h1
  within 20 is_active h1 etcd
  host_run h1 etcdctl set /new value
  host_run h1 test -d /var/lib/etcd-before-oxetcd/member
  grep -q "WARNING: apt-get purge etcd-server would delete" "$HOSTS_STATE/h1/apt" || fail "no warning"
  host_run h1 apt-get purge -y -q oxetcd >/dev/null 2>&1
  host_run h1 test -d /var/lib/etcd-before-oxetcd/member
}

# A refused document starts no member.
case_refused() {
  install_on_disk h1
  user_data h1 <<'END'
#cloud-config
coreos:
  etcd:
    name: [web1
END
  host_boot h1
  is failed host_run h1 'systemctl is-active etcd-cloudinit || true'
  is inactive host_run h1 'systemctl is-active etcd || true'
  host_run h1 'test ! -e /var/lib/etcd/member'
  user_data h1 <<'END'
#cloud-config
coreos:
  etcd:
    name: web1
END
  host_run h1 systemctl restart etcd-cloudinit etcd
  within 20 is_active h1 etcd
  is web1 host_run h1 'curl -s http://127.0.0.1:7001/name'
  # With another name the member is refused and not restarted, since its directory has a key.
  host_run h1 etcdctl set /a 1
  sed -i 's/web1/web2/' "$(host_disk h1)/var/lib/cloud/instance/user-data.txt"
  host_run h1 'systemctl restart etcd-cloudinit etcd' && fail "it started"
  within 10 host_run h1 '[ "$(systemctl show -P ExecMainStatus etcd)" = 65 ]'
  is failed host_run h1 'systemctl is-active etcd || true'
}

# The package starts with its defaults before the cloud-config is there.
case_race_late() {
  boot_new h1
  boot_new h2
  install h1
  within 20 is_active h1 etcd
  print_peers_config 1 >"$(host_disk h1)/etc/default/etcd"
  host_run h1 systemctl restart etcd
  within 20 put h1 /kept yes

  install h2
  within 20 is_active h2 etcd
  user_data h2 <<END
#cloud-config
coreos:
  etcd:
    name: second
    peers: $(host_address h1):7001
    addr: \$private_ipv4:4001
    peer-addr: \$private_ipv4:7001
END
  host_run h2 systemctl start etcd-cloudinit
  within 30 has_value h2 /kept yes
  is "h1 second" print_names h2
  within 30 has_voters h1 2
}

# The drop-in is written while etcd starts, before a daemon-reload.
case_race_drop_in() {
  boot_new h1
  install h1
  within 20 is_active h1 etcd
  host_run h1 'systemctl stop etcd && rm -rf /var/lib/etcd/*'
  host_run h1 'mkdir -p /run/systemd/system/etcd.service.d &&
    printf "[Service]\nEnvironment=\"ETCD_NAME=meant %%%% \\\\\"it\\\\\"\"\n" >/run/systemd/system/etcd.service.d/20-cloudinit.conf'
  host_run h1 systemctl start --no-block etcd
  # It does not found a cluster and is restarted.
  within 20 host_run h1 '[ "$(systemctl show -P NRestarts etcd)" -ge 2 ]'
  host_run h1 'journalctl -u etcd -o cat | grep -q "ETCD_NAME in the files of etcd.service differs"'
  host_run h1 'test ! -e /var/lib/etcd/member'
  host_run h1 systemctl daemon-reload
  within 20 is_active h1 etcd
  host_run h1 'curl -s http://127.0.0.1:4001/v2/keys/_etcd/machines' | grep -qF '"/_etcd/machines/meant % \"it\""'
}
