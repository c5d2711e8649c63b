#!/bin/bash
# rig.sh - several real Debian hosts (systemd, sshd, cron, on request salt) on one machine, on a network of their own.
#   rig.sh up HOST..               boot hosts of these names; returns when systemd says running or degraded (sshd listens then)
#   rig.sh exec HOST CMD..         run as root in HOST; stdin, stdout and exit status are passed on
#   rig.sh unit HOST CMD..         the same as a transient unit: with systemd's cgroup and the host's seccomp filter
#   rig.sh push-file HOST SRC DST  copy a file or folder into HOST: modes, times, ACLs, xattrs kept; owner becomes root
#   rig.sh pull-file HOST SRC DST  copy a file or folder out of HOST: the same, numeric owners kept
#   rig.sh cut|heal HOST           unplug / plug its network cable
#   rig.sh slow HOST RATE|off      limit what HOST receives, e.g. 1mbit (to slow an upload, slow the receiver)
#   rig.sh kill HOST               SIGKILL of its PID 1; unsynced data stays in the page cache, so nothing written is lost
#   rig.sh powercut HOST           kill, and what was not synced on /vol is lost (needs RIG_DISK ext4 or xfs)
#   rig.sh stop HOST               clean poweroff
#   rig.sh boot HOST               boot a killed or stopped host again from the same disk
#   rig.sh reinstall HOST          a new machine of the same name and address: its disks are thrown away
#   rig.sh log HOST                console and journal of this boot
#   rig.sh list                    hosts, addresses, PID 1 of each
#   rig.sh possible                whether this machine can do it at all: status 1, and the first thing it lacks
#   rig.sh down                    kill all, remove everything (also fine when nothing is up)
# env: RIG_DIR   state                        [target/rig of the workspace]
#      RIG_BASE  image, see rig-base.sh       [$RIG_DIR/base]
#      RIG_ID    name; rigs of different names run side by side, also with the same RIG_NET   [rig]
#   read by "up" and kept for all later commands on that rig:
#      RIG_NET   first three bytes of the addresses: the first host is .11, the next .12   [10.77.0]
#      RIG_MASTER  the host that is the Salt master; salt-minion starts in all hosts. Empty: no Salt. Never the backup server:
#                the master is root on all hosts
#      RIG_SRV   folder seen as /srv in the master: salt/, pillar/, master.d/*.conf, minion.d/*.conf, all optional
#      RIG_DISK  ext4:SIZE|xfs:SIZE  a filesystem of its own for every host at /vol; stays over kill and boot;
#                full means ENOSPC. The root is an overlay (no reflink, no fanotify on it as a whole): use /vol for such tests
#      RIG_MAKER  "PID START" of a process, as in its /proc/PID/stat: the rig goes down by itself when that process has ended
#      RIG_TIMEOUT  seconds to wait for a boot or a poweroff   [60]
set -u -o pipefail
umask 022       # the overlay's upper folder becomes "/" of the host: with 077 no user but root could do anything there

HERE=$(dirname -- "$(realpath -- "$0")")
RIG_DIR=$(realpath -m -- "${RIG_DIR:-${CARGO_TARGET_DIR:-$HERE/../../target}/rig}")
RIG_ID=${RIG_ID:-rig}
RUN=$RIG_DIR/run/$RIG_ID
SETTINGS=(RIG_BASE RIG_NET RIG_MASTER RIG_SRV RIG_DISK RIG_MAKER RIG_TIMEOUT)
RIG_BASE=$(realpath -m -- "${RIG_BASE:-$RIG_DIR/base}") RIG_NET=${RIG_NET:-10.77.0} RIG_MASTER=${RIG_MASTER:-} RIG_SRV=${RIG_SRV:-}
RIG_DISK=${RIG_DISK:-} RIG_MAKER=${RIG_MAKER:-} RIG_TIMEOUT=${RIG_TIMEOUT:-60}
# "boot" without RIG_SRV in the environment must not take /srv away: what "up" was given counts
[ -e "$RUN/settings" ] && . "$RUN/settings"

SW=$RIG_ID-sw                                                   # netns with the switch: nothing of it shows on the machine
CG=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
TAR=(--numeric-owner --acls --xattrs --sparse)

die() { echo "rig: $*" >&2; exit 1; }
usage() { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 2; }

# ---- hosts and their processes

hosts() { cat "$RUN/names" 2>/dev/null; }

known() { hosts | grep -qxF -- "${1:-}" || die "no host '${1:-}' in rig '$RIG_ID' ($RUN)"; }

# Interfaces have short names and hosts may not: ports are numbered.
number() { hosts | grep -nxF -- "$1" | cut -d: -f1; }

addr() { echo "$RIG_NET.$((10 + $(number "$1")))"; }

port() { echo "p$(number "$1")"; }

# The host's systemd-nspawn, if that very process is still alive: pids are used again, so its start time is compared too.
sup() {
    local pid start
    read -r pid start 2>/dev/null <"$RUN/$1/pid" || return 1
    [ "$(awk '$3 != "Z" { print $22 }' "/proc/$pid/stat" 2>/dev/null)" = "$start" ] && echo "$pid"
}

# The host's PID 1, as the machine sees it: the only child of its nspawn.
leader() {
    local n c
    n=$(sup "$1") || return 1
    read -r c _ 2>/dev/null <"/proc/$n/task/$n/children"       # fails even when it reads: there is no newline
    [ -n "${c:-}" ] && echo "$c"
}

# Replaces this shell by a command inside the host; call it in ( ) to come back.
# nsenter alone would keep the CALLER's capabilities. The wall clock is not namespaced: `date -s` in a host would then set
# the clock of the whole machine. So take the host's own bounding set, and nothing inheritable, before going in; and
# refuse a host that was given CAP_SYS_TIME (25).
enter() {
    local h=$1 l b i drop=
    shift
    l=$(leader "$h") || die "$h is not up"
    b=$(awk '/^CapBnd/ { print $2 }' "/proc/$l/status") && [ -n "$b" ] || die "$h went away"
    [ $((0x$b >> 25 & 1)) = 0 ] || die "$h has CAP_SYS_TIME"
    for i in $(seq 0 "$(cat /proc/sys/kernel/cap_last_cap)"); do
        [ $((0x$b >> i & 1)) = 1 ] || drop=$drop,-cap_$i
    done
    exec setpriv --inh-caps=-all --ambient-caps=-all --bounding-set "${drop#,}" nsenter -t "$l" -a --root --wd \
        env -i HOME=/root USER=root LANG=C.UTF-8 TERM="${TERM:-dumb}" SYSTEMD_PAGER= \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# Waits until the host's processes, its mounts and so its loop device are gone: only then can it boot from the disk again.
gone() {
    local h=$1 end=$((SECONDS + RIG_TIMEOUT)) cg=$CG/$RIG_ID/$1
    while sup "$h" >/dev/null; do
        [ $SECONDS -lt $end ] || die "$h does not stop; try kill"
        sleep .02
    done
    for _ in $(seq 100); do
        grep -qsxF "$RUN/$h/vol.img" /sys/block/loop*/loop/backing_file || break
        sleep .05
    done
    [ ! -d "$cg" ] || find "$cg" -depth -type d -exec rmdir {} \; 2>/dev/null
    return 0
}

# ---- building a host

switch_on() {
    ip netns add "$SW" || die "is a rig '$RIG_ID' up with another RIG_DIR?"
    ip -n "$SW" link set lo up
    ip -n "$SW" link add br0 type bridge && ip -n "$SW" link set br0 up
}

# The netns is made outside and outlives the host, so the cable stays in when the host dies. No default route, no DNS.
plug() {
    local h=$1 ns=$RIG_ID-$1 p
    p=$(port "$h")
    ip netns add "$ns" && ip -n "$ns" link set lo up &&
        ip -n "$SW" link add "$p" type veth peer name eth0 netns "$ns" &&
        ip -n "$SW" link set "$p" master br0 up &&
        ip -n "$ns" addr add "$(addr "$h")/24" dev eth0 && ip -n "$ns" link set eth0 up || die "network of $h"
}

# Salt: only what every rig needs; the folder RIG_SRV decides all else.
# Traps: - extension_modules (and any *_dir) outside root_dir is prefixed with root_dir, and then ext_pillar is silently
#          empty (only a CRITICAL line in the master's log). /srv/... is fine as long as root_dir stays "/".
#        - an ext_pillar or a mine function is there only after saltutil.sync_modules (or sync_all): sync before mine.update,
#          else the mine is empty and states that loop over it make nothing and report success. Assert on the count.
#        - pillar.get prints ***** instead of values; look at rendered files or at `salt-run pillar.show_pillar HOST`.
salt_conf() {
    local h=$1 etc=$2
    mkdir -p "$etc"
    if [ "$h" = "$RIG_MASTER" ]; then
        cat >"$etc/master" <<-C
		interface: $(addr "$h")
		worker_threads: 3
		user: root
		file_roots: {base: [/srv/salt]}
		pillar_roots: {base: [/srv/pillar]}
		include: /srv/master.d/*.conf
		C
    fi
    # short retry times: a host that was cut or killed is back within seconds
    cat >"$etc/minion" <<-C
	master: $RIG_MASTER
	id: $h
	master_tries: -1
	acceptance_wait_time: 2
	random_reauth_delay: 1
	recon_default: 200
	recon_max: 1000
	C
    # not minion.d: salt writes its own _schedule.conf there
    [ ! -d "$RIG_SRV/minion.d" ] || echo 'include: /etc/salt/rig.d/*.conf' >>"$etc/minion"
}

prepare() {
    local h=$1 d=$RUN/$1 up=$RUN/$1/disk/up wants
    mkdir -p "$d/disk/work" "$d/root" "$d/vol"
    wants=$up/etc/systemd/system/multi-user.target.wants
    mkdir -p "$up/etc/ssh" "$wants"
    echo "$h" >"$up/etc/hostname"
    cp "$RUN/hosts" "$up/etc/hosts"
    echo "# none" >"$up/etc/resolv.conf"
    ssh-keygen -q -t ed25519 -N '' -C "root@$h" -f "$up/etc/ssh/ssh_host_ed25519_key" </dev/null || die "host key of $h"
    if [ -n "$RIG_MASTER" ]; then
        salt_conf "$h" "$up/etc/salt"
        ln -s /etc/systemd/system/salt-minion.service "$wants/"
        [ "$h" != "$RIG_MASTER" ] || ln -s /etc/systemd/system/salt-master.service "$wants/"
    fi
    if [ -n "$RIG_DISK" ]; then
        truncate -s "${RIG_DISK#*:}" "$d/vol.img" && "mkfs.${RIG_DISK%%:*}" -q "$d/vol.img" >"$d/mkfs.log" 2>&1 ||
            { cat "$d/mkfs.log" >&2; die "cannot make $RIG_DISK"; }
    fi
}

start() {
    local h=$1 d=$RUN/$1 opts=()
    [ ! -e "$d/vol.img" ] || opts+=(--bind="$d/vol:/vol")
    if [ -n "$RIG_SRV" ]; then
        [ "$h" != "$RIG_MASTER" ] || opts+=(--bind="$RIG_SRV:/srv")
        [ ! -d "$RIG_SRV/minion.d" ] || opts+=(--bind-ro="$RIG_SRV/minion.d:/etc/salt/rig.d")
    fi
    # nspawn 252 forbids these; backup tools and sandboxes may use them (its set "@sandbox" is younger)
    local call
    for call in landlock_create_ruleset landlock_add_rule landlock_restrict_self fanotify_init fanotify_mark @keyring; do
        opts+=(--system-call-filter=$call)
    done
    rm -f "$d/pid"
    mkdir -p "$CG/$RIG_ID/$h" /run/systemd
    # Every mount is made in a private mount namespace: it goes away with the host, and no other namespace can pin it.
    # An own cgroup per host, since nspawn makes payload/ and supervisor/ below it. The machine may have hybrid cgroups:
    # the host gets a pure v2 tree.
    setsid unshare --mount --propagation private bash -c '
        set -e
        cg=$1 base=$2 d=$3; shift 3
        echo $$ >"$cg/cgroup.procs"
        mount -t overlay rig -o "lowerdir=$base,upperdir=$d/disk/up,workdir=$d/disk/work" "$d/root"
        [ ! -e "$d/vol.img" ] || mount -o loop "$d/vol.img" "$d/vol"
        umount -R -l /sys/fs/cgroup
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
        mount -t tmpfs -o mode=755 tmpfs /run/systemd
        echo "$$ $(cut -d" " -f22 /proc/$$/stat)" >"$d/pid.new"; mv "$d/pid.new" "$d/pid"
        exec "$@"' - "$CG/$RIG_ID/$h" "$RIG_BASE" "$d" \
        systemd-nspawn -q --register=no --keep-unit -M "$RIG_ID-$h" --hostname="$h" -D "$d/root" \
        --network-namespace-path="/run/netns/$RIG_ID-$h" --capability=CAP_NET_ADMIN --boot --console=pipe \
        --link-journal=no --resolv-conf=off --timezone=off --kill-signal=SIGRTMIN+3 "${opts[@]}" \
        </dev/null >>"$d/console.log" 2>&1 &
}

ready() {
    local h=$1 end=$((SECONDS + RIG_TIMEOUT))
    while [ $SECONDS -lt $end ]; do
        case $( (enter "$h" systemctl is-system-running --wait) 2>/dev/null) in running | degraded) return ;; esac
        [ ! -e "$RUN/$h/pid" ] || sup "$h" >/dev/null || break          # it was there, and is not any more
        sleep .05
    done
    tail -n 20 "$RUN/$h/console.log" >&2
    die "$h did not come up"
}

# ---- commands

cmd_up() {
    local h n=1
    [ $# -gt 0 ] && [ $# -le 200 ] || usage
    for h in "$@"; do
        [[ $h =~ ^[a-z0-9]([a-z0-9.-]{0,60}[a-z0-9])?$ ]] || die "not the name of a host: $h"
    done
    [ -z "$(printf '%s\n' "$@" | sort | uniq -d)" ] || die "a name is given twice"
    [ -z "$RIG_MASTER" ] || printf '%s\n' "$@" | grep -qxF -- "$RIG_MASTER" || die "RIG_MASTER is none of the hosts: $RIG_MASTER"
    [ -e "$RIG_BASE/etc/rig-base" ] || die "no image at $RIG_BASE: run rig-base.sh"
    [ -z "$RIG_MASTER" ] || [ -e "$RIG_BASE/opt/salt/rig-salt" ] || die "no salt in the image: run rig-base.sh --salt"
    [ -n "$CG" ] || die "no cgroup2 mounted on this machine"
    [ -z "$RIG_SRV" ] || RIG_SRV=$(realpath -e -- "$RIG_SRV") || exit 1
    case $RIG_DIR$RIG_BASE$RIG_SRV in *[,:\\\ ]*) die "no comma, colon, backslash or blank in RIG_DIR, RIG_BASE, RIG_SRV" ;; esac
    mkdir -p "$RIG_DIR/run"
    mkdir "$RUN" 2>/dev/null || die "already up, or left over from a failure: 'rig.sh down' first ($RUN)"
    local v; for v in "${SETTINGS[@]}"; do printf '%s=%q\n' "$v" "${!v}"; done >"$RUN/settings"
    printf '%s\n' "$@" >"$RUN/names"
    { echo "127.0.0.1 localhost"; for h in "$@"; do echo "$(addr "$h") $h"; done; } >"$RUN/hosts"
    switch_on
    # Nothing of the caller's stays open in it: a reader of our output would wait for its end.
    if [ -n "$RIG_MAKER" ]; then RIG_DIR=$RIG_DIR RIG_ID=$RIG_ID setsid "$0" mourn </dev/null >/dev/null 2>&1 & fi
    for h in "$@"; do plug "$h"; prepare "$h"; done
    for h in "$@"; do start "$h"; done
    for h in "$@"; do ready "$h"; done
}

cmd_exec() { local h=$1; shift; [ $# -gt 0 ] || usage; enter "$h" "$@"; }

cmd_unit() { local h=$1; shift; [ $# -gt 0 ] || usage; enter "$h" systemd-run -q --wait --pipe --collect -- "$@"; }

# DST is the name of the copy; with a slash at its end it is the folder that the copy goes into. A folder that is there is
# merged into; a file is replaced by rename, so a running program can be replaced.
cmd_push_file() {
    local h=$1 src dst=${3:-}
    [[ $dst == /* ]] || die "push-file HOST SRC DST: DST must be an absolute path"
    src=$(realpath -e -- "$2") || exit 1
    [[ $dst != */ ]] || dst=$dst$(basename -- "$2")
    if [ -d "$src" ]; then
        tar -C "$src" "${TAR[@]}" --owner=0 --group=0 -cf - . |
            (enter "$h" sh -c 'd=$1; shift; mkdir -p -- "$d" && exec tar -C "$d" "$@" -xpf -' - "$dst" "${TAR[@]}")
    else
        tar -C "$(dirname -- "$src")" "${TAR[@]}" --owner=0 --group=0 -cf - "./$(basename -- "$src")" |
            (enter "$h" sh -ec 'dst=$1 name=$2; shift 2; d=$(dirname -- "$dst"); mkdir -p -- "$d"
                t=$(mktemp -d -- "$d/.push.XXXXXX"); trap "rm -rf -- \"$t\"" EXIT
                tar -C "$t" "$@" -xpf -; mv -fT -- "$t/$name" "$dst"' - "$dst" "$(basename -- "$src")" "${TAR[@]}")
    fi
}

cmd_pull_file() {
    local h=$1 src=${2:-} dst=${3:-} t rc
    [[ $src == /* && -n $dst ]] || die "pull-file HOST SRC DST: SRC must be an absolute path"
    [[ $dst != */ ]] || dst=$dst$(basename -- "$src")
    (enter "$h" test -e "$src") || die "$h has no $src"
    # tar's status 1: a file changed while it was read, as logs do; not a failure here
    if (enter "$h" test -d "$src"); then
        mkdir -p -- "$dst" || exit 1
        (enter "$h" sh -c 'd=$1; shift; tar -C "$d" "$@" -cf - .; [ $? -le 1 ]' - "$src" "${TAR[@]}") |
            tar -C "$dst" "${TAR[@]}" -xpf -
    else
        mkdir -p -- "$(dirname -- "$dst")" && t=$(mktemp -d -- "$(dirname -- "$dst")/.pull.XXXXXX") || exit 1
        (enter "$h" sh -c 'f=$1; shift; cd -- "$(dirname -- "$f")" && tar "$@" -hcf - "./$(basename -- "$f")"; [ $? -le 1 ]' \
            - "$src" "${TAR[@]}") | tar -C "$t" "${TAR[@]}" -xpf - && mv -fT -- "$t/$(basename -- "$src")" "$dst"
        rc=$?
        rm -rf -- "$t"
        return $rc
    fi
}

cmd_cut() { ip -n "$SW" link set "$(port "$1")" down; }

cmd_heal() { ip -n "$SW" link set "$(port "$1")" up; }

# tbf, since many small kernels have no netem: a rate, no loss or delay
cmd_slow() {
    case ${2:-} in
    '') usage ;;
    off) tc -n "$SW" qdisc del dev "$(port "$1")" root ;;
    *) tc -n "$SW" qdisc replace dev "$(port "$1")" root tbf rate "$2" burst 32kbit latency 400ms ;;
    esac
}

cmd_kill() {
    local l
    l=$(leader "$1") || die "$1 is not up"
    kill -9 "$l"
    gone "$1"
}

# Shuts the filesystem down without a log flush, as if the current had gone, then kills.
# The check matters: the same call on a plain folder would shut down the filesystem of the machine.
cmd_powercut() {
    local n
    n=$(sup "$1") || die "$1 is not up"
    nsenter -t "$n" -m --root --wd sh -c '
        case $(findmnt -nro SOURCE,FSTYPE --mountpoint "$1") in
        "/dev/loop"*" xfs" | "/dev/loop"*" ext4") exec xfs_io -x -c shutdown "$1" ;;
        *) echo "rig: powercut needs RIG_DISK=ext4:.. or xfs:.." >&2; exit 1 ;;
        esac' - "$RUN/$1/vol" || exit 1
    cmd_kill "$1"
}

cmd_stop() {
    sup "$1" >/dev/null || die "$1 is not up"
    (enter "$1" systemctl poweroff)
    gone "$1"
}

cmd_boot() {
    ! sup "$1" >/dev/null || die "$1 is up"
    start "$1"
    ready "$1"
}

cmd_reinstall() {
    ! sup "$1" >/dev/null || cmd_kill "$1"
    rm -rf --one-file-system -- "${RUN:?}/$1"
    prepare "$1"
    cmd_boot "$1"
}

cmd_log() { cat "$RUN/$1/console.log"; (enter "$1" journalctl -b --no-pager -o short-monotonic); }

cmd_list() {
    local h
    for h in $(hosts); do echo "$h $(addr "$h") leader=$(leader "$h" || echo down)"; done
}

# Whoever made the rig may be killed before it can say "down".
cmd_mourn() {
    local pid start names
    read -r pid start <<<"$RIG_MAKER"
    names=$(stat -c %i "$RUN/names")
    while [ "$(awk '{ sub(/.*\) /, ""); print $20 }' "/proc/$pid/stat" 2>/dev/null)" = "$start" ]; do
        sleep 1
        [ "$(stat -c %i "$RUN/names" 2>/dev/null)" = "$names" ] || return 0     # down already, and perhaps another is up
    done
    cmd_down
}

cmd_possible() {
    local tool said t=$RIG_DIR/try.$$
    [ "$(id -u)" = 0 ] || die "needs root"
    [ -n "$CG" ] || die "no cgroup2 is mounted"
    for tool in systemd-nspawn debootstrap ip nsenter setpriv unshare mkfs.ext4 mkfs.xfs xfs_io; do
        command -v "$tool" >/dev/null || die "there is no $tool"
    done
    mkdir -p "$t/low" "$t/up" "$t/work" "$t/on" "$t/disk"
    mkdir "$CG/$RIG_ID-try$$" 2>/dev/null && rmdir "$CG/$RIG_ID-try$$" || die "no cgroup can be made in $CG"
    said=$(unshare --mount --net --pid --fork --propagation private sh -ec '
        cd "$1"
        mount -t overlay try -o lowerdir=low,upperdir=up,workdir=work on
        truncate -s 8M disk.img
        mkfs.ext4 -q disk.img
        mount -o loop disk.img disk
        ip link add try0 type veth peer name try1' - "$t" 2>&1) || die "no namespaces, overlays or loop devices: $said"
    rm -rf --one-file-system -- "$t"
}

cmd_down() {
    local h l
    [ -d "$RUN" ] || return 0                                   # never touch what another RIG_DIR may have up
    for h in $(hosts); do l=$(leader "$h" || sup "$h") && kill -9 "$l"; done
    for h in $(hosts); do
        gone "$h"
        [ ! -e "/run/netns/$RIG_ID-$h" ] || ip netns del "$RIG_ID-$h"
    done
    [ ! -e "/run/netns/$SW" ] || ip netns del "$SW"
    rmdir "$CG/$RIG_ID" 2>/dev/null
    rm -rf --one-file-system -- "$RUN"
}

[[ $RIG_ID =~ ^[a-z][a-z0-9]{0,11}$ ]] || die "RIG_ID: a small letter, then up to 11 small letters and digits"
cmd=${1:-}
[ $# = 0 ] || shift
case $cmd in
up | down | list | possible | mourn | exec | unit | push-file | pull-file | cut | heal | slow | kill | powercut | stop | boot | reinstall | log) ;;
*) usage ;;
esac
[ "$(id -u)" = 0 ] || [ "$cmd" = possible ] || die "must be root"
case $cmd in up | down | list | possible | mourn) ;; *) known "${1:-}" ;; esac
"cmd_${cmd/-/_}" "$@"
