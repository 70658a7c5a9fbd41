# Hosts to test on: each a booted systemd of its own, with its own disk, address and machine-id, on a bridge
# of this machine. To be sourced; needs root and the Debian packages systemd-container, debootstrap,
# iproute2 and util-linux.
#
#   HOSTS_STATE=/run/oxetcd-hosts     where their disks are (memory), removed by hosts_end
#   HOSTS_CACHE=/var/cache/oxetcd-hosts   the minimal Debian they are made of, kept
#   HOSTS_BRIDGE=oxh0  HOSTS_NET=10.79.0  HOSTS_SUITE=bookworm
#
# shellcheck shell=bash

HOSTS_STATE=${HOSTS_STATE:-/run/oxetcd-hosts}
HOSTS_CACHE=${HOSTS_CACHE:-/var/cache/oxetcd-hosts}
HOSTS_BRIDGE=${HOSTS_BRIDGE:-oxh0}
HOSTS_NET=${HOSTS_NET:-10.79.0}
HOSTS_SUITE=${HOSTS_SUITE:-bookworm}
# How long a boot, a stop, or anything else may take, in seconds.
HOSTS_PATIENCE=${HOSTS_PATIENCE:-60}

# Why hosts cannot be had here; nothing if they can.
hosts_missing() {
  [ "$(id -u)" = 0 ] || { echo "not root"; return; }
  local command
  for command in systemd-nspawn debootstrap ip nsenter; do
    command -v "$command" >/dev/null || { echo "no $command"; return; }
  done
  unshare --mount --net true 2>/dev/null || echo "no namespaces may be made"
}

# The minimal Debian, made once: the archive is the one this machine's apt uses.
hosts_base() {
  local base=$HOSTS_CACHE/$HOSTS_SUITE mirror
  if [ ! -e "$base/.done" ]; then
    mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
      awk -v suite="$HOSTS_SUITE" '$1 == suite { print $2; exit }')
    rm -rf "$base"
    mkdir -p "$base"
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,iproute2,curl "$HOSTS_SUITE" "$base" \
      "$mirror" >"$base.log" 2>&1 || { tail -n 5 "$base.log" >&2; return 1; }
    rm -rf "$base"/var/cache/apt/archives/*.deb
    touch "$base/.done"
  fi
  echo "$base"
}

# host_disk NAME: where its root is on this machine.
host_disk() { echo "$HOSTS_STATE/$1/root"; }

# host_address NAME: its address, by the number at the end of its name.
host_address() { echo "$HOSTS_NET.$((10 + ${1##*[!0-9]}))"; }

# host_make NAME: a disk and a network, not booted. A name is letters and a number from 0 to 99.
host_make() {
  local name=$1 base disk folder=$HOSTS_STATE/$1
  base=$(hosts_base) || return 1
  disk=$(host_disk "$name")
  mkdir -p "$folder"
  mount -t tmpfs -o mode=0755,size=2g "oxetcd-$name" "$folder"
  mkdir "$folder/upper" "$folder/work" "$disk"
  mount -t overlay -o "lowerdir=$base,upperdir=$folder/upper,workdir=$folder/work" "oxetcd-$name" "$disk"
  echo "$name" >"$disk/etc/hostname"
  printf '127.0.0.1 localhost\n%s %s\n' "$(host_address "$name")" "$name" >"$disk/etc/hosts"
  printf '%s' "$HOSTS_BRIDGE $name" | md5sum | cut -c1-32 >"$disk/etc/machine-id"
  # So that the journal outlives a boot.
  mkdir -p "$disk/var/log/journal"
  local unit
  for unit in console-getty.service apt-daily.timer apt-daily-upgrade.timer systemd-networkd.service \
    systemd-timesyncd.service e2scrub_reap.service; do
    ln -sfn /dev/null "$disk/etc/systemd/system/$unit"
  done
  host_plug "$name"
}

# host_plug NAME: its network namespace, with one end of a cable on the bridge.
host_plug() {
  local name=$1 port=$HOSTS_BRIDGE-$1
  if ! ip link show "$HOSTS_BRIDGE" >/dev/null 2>&1; then
    ip link add "$HOSTS_BRIDGE" type bridge
    ip address add "$HOSTS_NET.1/24" dev "$HOSTS_BRIDGE"
    ip link set "$HOSTS_BRIDGE" up
  fi
  ip netns add "$port"
  ip -n "$port" link set lo up
  ip link add "$port" type veth peer name eth0 netns "$port"
  ip link set "$port" master "$HOSTS_BRIDGE" up
  ip -n "$port" address add "$(host_address "$name")/24" dev eth0
  ip -n "$port" link set eth0 up
  # A new port would listen for a while before it forwards.
  bridge link set dev "$port" state 3 2>/dev/null || true
}

# host_groups NAME: control groups of its own; two systems below one would end each other's services.
host_groups() {
  local mount
  for mount in /sys/fs/cgroup/unified /sys/fs/cgroup/systemd /sys/fs/cgroup; do
    [ ! -e "$mount/cgroup.procs" ] || echo "$mount/$HOSTS_BRIDGE-$1"
  done
}

# host_boot NAME: boot it, and wait until it is up. It is started again as often as it reboots.
host_boot() {
  local name=$1
  setsid bash -c "$(declare -f host_groups host_life host_disk); $(declare -p HOSTS_STATE HOSTS_BRIDGE)
    host_life $name" </dev/null >/dev/null 2>&1 &
  echo $! >"$HOSTS_STATE/$name/life"
  host_wait "$name"
}

# host_life NAME: its container, again and again: 133 is how it ends when it wants to be started again.
host_life() {
  local name=$1 group status=133
  while [ "$status" = 133 ]; do
    status=0
    (
      for group in $(host_groups "$name"); do
        mkdir -p "$group" && echo "$BASHPID" >"$group/cgroup.procs"
      done
      echo "$BASHPID" >"$HOSTS_STATE/$name/container"
      exec env -i PATH="$PATH" systemd-nspawn --quiet --directory="$(host_disk "$name")" --machine="$HOSTS_BRIDGE-$name" --hostname="$name" \
        --register=no --keep-unit --link-journal=no --resolv-conf=off --timezone=off --console=pipe \
        --network-namespace-path="/run/netns/$HOSTS_BRIDGE-$name" --capability=CAP_NET_ADMIN --boot
    ) </dev/null >>"$HOSTS_STATE/$name/console" 2>&1 || status=$?
  done
}

# host_init NAME: the process that is PID 1 in it; nothing if it does not run.
host_init() {
  local container process
  container=$(cat "$HOSTS_STATE/$1/container" 2>/dev/null) || return 0
  for process in $(pgrep -P "$container" 2>/dev/null); do
    if [ "$(awk '/^NSpid:/ { print $NF }' "/proc/$process/status" 2>/dev/null)" = 1 ]; then
      echo "$process"
      return
    fi
  done
}

# host_run NAME COMMAND...: run a command in it; a single word is a line for its shell.
host_run() {
  local name=$1 init
  shift
  init=$(host_init "$name")
  [ -n "$init" ] || { echo "$name does not run" >&2; return 1; }
  [ $# -gt 1 ] || set -- /bin/sh -c "$1"
  nsenter -t "$init" -m -u -i -n -p -C -r -w env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
}

# host_wait NAME: until its boot is over.
host_wait() {
  local name=$1 end=$((SECONDS + HOSTS_PATIENCE)) state=
  while [ $SECONDS -lt $end ]; do
    state=$(host_run "$name" systemctl is-system-running 2>/dev/null) || true
    case $state in running | degraded) return 0 ;; esac
    sleep 0.1
  done
  echo "$name did not come up: ${state:-no answer}" >&2
  tail -n 5 "$HOSTS_STATE/$name/console" >&2
  return 1
}

# host_gone PROCESS: wait until it is gone, or only waits to be reaped.
host_gone() {
  local end=$((SECONDS + HOSTS_PATIENCE))
  while [ $SECONDS -lt $end ]; do
    case $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) in "" | Z*) return 0 ;; esac
    sleep 0.05
  done
  return 1
}

# host_reboot NAME: as its administrator would; returns once it is up again.
host_reboot() {
  local init
  init=$(host_init "$1")
  host_run "$1" systemctl reboot >/dev/null 2>&1 || true
  host_gone "$init" && host_wait "$1"
}

# host_crash NAME: as if its power had failed. Its disk stays.
host_crash() {
  local init life
  init=$(host_init "$1")
  life=$(cat "$HOSTS_STATE/$1/life" 2>/dev/null)
  [ -z "$init" ] || kill -KILL "$init"
  [ -z "$init" ] || host_gone "$init"
  [ -z "$life" ] || host_gone "$life"
  rm -f "$HOSTS_STATE/$1/container" "$HOSTS_STATE/$1/life"
}

# host_cut NAME, host_heal NAME: pull its cable silently, and put it back.
host_cut() { bridge link set dev "$HOSTS_BRIDGE-$1" state 0; }
host_heal() { bridge link set dev "$HOSTS_BRIDGE-$1" state 3; }

# host_end NAME: nothing of it is left.
host_end() {
  local name=$1 folder=$HOSTS_STATE/$1 group
  host_crash "$name" 2>/dev/null || true
  ip link del "$HOSTS_BRIDGE-$name" 2>/dev/null || true
  ip netns del "$HOSTS_BRIDGE-$name" 2>/dev/null || true
  for group in $(host_groups "$name"); do
    [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
  umount "$folder/root" 2>/dev/null || umount -l "$folder/root" 2>/dev/null || true
  umount "$folder" 2>/dev/null || umount -l "$folder" 2>/dev/null || true
  rmdir "$folder" 2>/dev/null || true
}

# hosts_end: all of them, and the bridge.
hosts_end() {
  local folder
  for folder in "$HOSTS_STATE"/*/; do
    [ ! -d "$folder" ] || host_end "$(basename "$folder")"
  done
  ip link del "$HOSTS_BRIDGE" 2>/dev/null || true
  rmdir "$HOSTS_STATE" 2>/dev/null || true
}
