# Functions for test hosts: containers with a booted systemd, each with its own disk, address and machine-id, on
# one bridge. To be sourced. Needs root and the Debian packages systemd-container, debootstrap, iproute2 and
# util-linux.
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
# Timeout of a boot or a stop, in seconds.
HOSTS_PATIENCE=${HOSTS_PATIENCE:-60}

# hosts_missing: print why hosts cannot be booted here; nothing if they can.
hosts_missing() {
  [ "$(id -u)" = 0 ] || { echo "not root"; return; }
  local command
  for command in systemd-nspawn debootstrap ip nsenter; do
    command -v "$command" >/dev/null || { echo "no $command"; return; }
  done
  unshare --mount --net true 2>/dev/null || echo "namespaces are not permitted"
}

# hosts_base: create the minimal Debian once, from the archive of the local apt, and print its path.
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

# host_disk NAME: print the path of its root.
host_disk() { echo "$HOSTS_STATE/$1/root"; }

# host_address NAME: print its address, which follows from the number at the end of its name.
host_address() { echo "$HOSTS_NET.$((10 + ${1##*[!0-9]}))"; }

# host_make NAME: create its disk and network without booting it. A name is letters and a number from 0 to 99.
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
  # So that the journal is kept over boots.
  mkdir -p "$disk/var/log/journal"
  local unit
  for unit in console-getty.service apt-daily.timer apt-daily-upgrade.timer systemd-networkd.service \
    systemd-timesyncd.service e2scrub_reap.service; do
    ln -sfn /dev/null "$disk/etc/systemd/system/$unit"
  done
  host_plug "$name"
}

# host_plug NAME: create its network namespace and connect it to the bridge.
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
  # Otherwise a new port does not forward for some time.
  bridge link set dev "$port" state 3 2>/dev/null || true
}

# host_groups NAME: print its control groups; two systems in one group would stop each other's services.
host_groups() {
  local mount
  for mount in /sys/fs/cgroup/unified /sys/fs/cgroup/systemd /sys/fs/cgroup; do
    [ ! -e "$mount/cgroup.procs" ] || echo "$mount/$HOSTS_BRIDGE-$1"
  done
}

# host_boot NAME: boot it and wait until it is up. It is started again after a reboot.
host_boot() {
  local name=$1
  setsid bash -c "$(declare -f host_groups host_container host_disk); $(declare -p HOSTS_STATE HOSTS_BRIDGE)
    host_container $name" </dev/null >/dev/null 2>&1 &
  echo $! >"$HOSTS_STATE/$name/runner"
  host_wait "$name"
}

# host_container NAME: run its container, again after exit status 133, which means reboot.
host_container() {
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

# host_init NAME: print the id of its PID 1; nothing if it does not run.
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

# host_run NAME COMMAND...: run a command in it; a single word is a command line for its shell.
host_run() {
  local name=$1 init
  shift
  init=$(host_init "$name")
  [ -n "$init" ] || { echo "$name does not run" >&2; return 1; }
  [ $# -gt 1 ] || set -- /bin/sh -c "$1"
  nsenter -t "$init" -m -u -i -n -p -C -r -w env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
}

# host_wait NAME: wait until it is booted.
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

# wait_gone PID: wait until a process has exited.
wait_gone() {
  local end=$((SECONDS + HOSTS_PATIENCE))
  while [ $SECONDS -lt $end ]; do
    case $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) in "" | Z*) return 0 ;; esac
    sleep 0.05
  done
  return 1
}

# host_reboot NAME: reboot it and wait until it is up.
host_reboot() {
  local init
  init=$(host_init "$1")
  host_run "$1" systemctl reboot >/dev/null 2>&1 || true
  wait_gone "$init" && host_wait "$1"
}

# host_crash NAME: simulate a power failure. Its disk is kept.
host_crash() {
  local init runner
  init=$(host_init "$1")
  runner=$(cat "$HOSTS_STATE/$1/runner" 2>/dev/null)
  [ -z "$init" ] || kill -KILL "$init"
  [ -z "$init" ] || wait_gone "$init"
  [ -z "$runner" ] || wait_gone "$runner"
  rm -f "$HOSTS_STATE/$1/container" "$HOSTS_STATE/$1/runner"
}

# host_cut NAME, host_heal NAME: cut and restore its network without a link event.
host_cut() { bridge link set dev "$HOSTS_BRIDGE-$1" state 0; }
host_heal() { bridge link set dev "$HOSTS_BRIDGE-$1" state 3; }

# host_end NAME: remove it completely.
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

# hosts_end: remove all hosts and the bridge.
hosts_end() {
  local folder
  for folder in "$HOSTS_STATE"/*/; do
    [ ! -d "$folder" ] || host_end "$(basename "$folder")"
  done
  ip link del "$HOSTS_BRIDGE" 2>/dev/null || true
  rmdir "$HOSTS_STATE" 2>/dev/null || true
}
