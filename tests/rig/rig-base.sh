#!/bin/bash
# rig-base.sh - builds the image that rig.sh boots its hosts from: Debian 12 in a plain folder, the read-only lower
# layer of every host. Does nothing when the image is there already.
#   rig-base.sh             the image
#   rig-base.sh --salt      the same, with salt in /opt/salt and the units salt-master and salt-minion (not enabled)
#   rig-base.sh --force     throw the image away first
# env: RIG_DIR     state and caches    [target/rig of the workspace]
#      RIG_BASE    the image           [$RIG_DIR/base]
#      RIG_PKGS    more Debian packages for the image, comma separated
#      RIG_MIRROR  Debian mirror       [what apt on this machine uses for the same suite, else debootstrap's default]
#      RIG_PYTHON  python for building salt's wheels; must have the image's version, 3.11   [first one found]
set -euo pipefail
umask 022                       # the image's folders must be readable for the users inside, whatever the caller's umask
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

HERE=$(dirname -- "$(realpath -- "$0")")
RIG_DIR=$(realpath -m -- "${RIG_DIR:-${CARGO_TARGET_DIR:-$HERE/../../target}/rig}")
RIG_BASE=$(realpath -m -- "${RIG_BASE:-$RIG_DIR/base}")
SUITE=bookworm
PYVER=3.11                      # of SUITE
SALT=3008.3                     # newer ones may want dependencies that the registry view at hand does not have: pinned

PKGS=systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,openssh-client,cron,procps,kmod
PKGS+=,python3,python3-venv,ca-certificates,gpg,gpg-agent
PKGS+=,libssl3,zlib1g,libnettle8,libhogweed6,libgmp10                                   # what our programs are linked to
PKGS+=,iproute2,iputils-ping,netcat-openbsd,nftables                                    # network
PKGS+=,rsync,attr,acl,squashfs-tools,zstd,e2fsprogs,xfsprogs                            # files
PKGS+=,strace,faketime,libfaketime                                                      # faults and clocks
PKGS+=${RIG_PKGS:+,$RIG_PKGS}

say() { printf 'rig-base %4ss  %s\n' "$SECONDS" "$*"; }
die() { echo "rig-base: $*" >&2; exit 1; }

apt_install() {                 # PACKAGE..: on the machine itself
    [ $# = 0 ] && return
    command -v apt-get >/dev/null || die "missing, and there is no apt-get here to install it: $*"
    say "installing on this machine: $*"
    apt-get -qq update || say "apt-get update had errors, going on"
    apt-get -qq install -y --no-install-recommends "$@" >"$RIG_DIR/apt.log" 2>&1 ||
        { tail -5 "$RIG_DIR/apt.log" >&2; die "apt-get failed"; }
}

# What rig.sh and this script need on the machine, as command:package; apt is only asked when a command is missing.
machine_tools() {
    local want=() pair
    for pair in systemd-nspawn:systemd-container debootstrap:debootstrap ip:iproute2 tc:iproute2 xfs_io:xfsprogs \
                mkfs.ext4:e2fsprogs setpriv:util-linux nsenter:util-linux ssh-keygen:openssh-client \
                ps:procps tar:tar; do
        command -v "${pair%%:*}" >/dev/null || want+=("${pair#*:}")
    done
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || want+=(debian-archive-keyring)
    apt_install "${want[@]}"
}

# A lower layer must not change below a mounted overlay.
refuse_if_in_use() {
    if grep -qsF "lowerdir=$RIG_BASE," /proc/[0-9]*/mountinfo; then die "$RIG_BASE is in use by a rig that is up"; fi
}

mirror() {
    [ -n "${RIG_MIRROR:-}" ] && { echo "$RIG_MIRROR"; return; }
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
        awk -v s=$SUITE '$2 == s && $3 == "main" && !m { m = $1 } END { print m }'
}

build_image() {
    local new=$RIG_BASE.new m
    refuse_if_in_use
    rm -rf --one-file-system -- "$new"
    mkdir -p "$new" "$RIG_DIR/debs"
    m=$(mirror) || m=
    say "debootstrap $SUITE (log: $RIG_DIR/debootstrap.log)"
    # in a mount namespace of its own: an interrupted run leaves no /proc mounted in the folder
    unshare --mount --propagation private \
        debootstrap --variant=minbase --include="$PKGS" --cache-dir="$RIG_DIR/debs" "$SUITE" "$new" ${m:+"$m"} \
        >"$RIG_DIR/debootstrap.log" 2>&1 || { tail -5 "$RIG_DIR/debootstrap.log" >&2; die "debootstrap failed"; }
    rm -rf "$new"/var/cache/apt/archives/*.deb "$new"/var/lib/apt/lists/* "$new"/etc/ssh/ssh_host_*   # keys: one per host
    : >"$new/etc/machine-id"                                            # empty: every host makes its own at its first boot
    local u     # no network in the hosts: these would only fail, and the host would be called "degraded"
    for u in apt-daily apt-daily-upgrade e2scrub_all fstrim; do ln -sf /dev/null "$new/etc/systemd/system/$u.timer"; done
    echo "$STAMP" >"$new/etc/rig-base"
    rm -rf --one-file-system -- "$RIG_BASE"
    mv "$new" "$RIG_BASE"                                               # only a complete image gets the name
}

salt_wheels() {
    local w=$RIG_DIR/wheels-salt-$SALT p py=
    [ -e "$w/complete" ] && return
    for p in ${RIG_PYTHON:-python$PYVER /usr/bin/python3 python3}; do
        [ "$("$p" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = $PYVER ] && { py=$p; break; }
    done
    [ -n "$py" ] || die "salt's wheels need a python $PYVER on this machine (the image's version): set RIG_PYTHON"
    command -v gcc >/dev/null || apt_install gcc libc6-dev              # one dependency is C without a wheel
    [ "$py" != /usr/bin/python3 ] ||
        "$py" -c 'import ensurepip, os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")' 2>/dev/null ||
        apt_install python3-venv python3-dev
    say "building salt's wheels, once ($w, log: $RIG_DIR/pip.log)"
    rm -rf "$w" "$RIG_DIR/venv-wheels"
    { "$py" -m venv "$RIG_DIR/venv-wheels" && "$RIG_DIR/venv-wheels/bin/pip" wheel -q "salt==$SALT" -w "$w"; } \
        >"$RIG_DIR/pip.log" 2>&1 || { tail -5 "$RIG_DIR/pip.log" >&2; die "pip wheel failed"; }
    rm -rf "$RIG_DIR/venv-wheels"
    touch "$w/complete"
}

add_salt() {
    refuse_if_in_use
    salt_wheels
    say "salt $SALT into the image"
    rm -rf "$RIG_BASE/opt/salt"
    # no compiler and no network needed in there; a clean environment, so that pip settings of the caller do not count
    unshare --mount --propagation private bash -ec '
        mount --bind "$2" "$1/mnt"; mount -t proc proc "$1/proc"
        chroot "$1" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -ec "
            python3 -m venv /opt/salt
            /opt/salt/bin/pip install -q --disable-pip-version-check --no-index --find-links /mnt salt=='$SALT'"
        ' - "$RIG_BASE" "$RIG_DIR/wheels-salt-$SALT"
    local p unit=$RIG_BASE/etc/systemd/system
    for p in salt salt-call salt-cp salt-key salt-master salt-minion salt-run; do
        ln -sf "/opt/salt/bin/$p" "$RIG_BASE/usr/local/bin/$p"
    done
    cat >"$unit/salt-master.service" <<-'U'
	[Unit]
	Description=Salt master
	After=network.target
	[Service]
	ExecStart=/opt/salt/bin/salt-master -c /etc/salt
	TimeoutStopSec=5
	KillMode=mixed
	[Install]
	WantedBy=multi-user.target
	U
    # KillMode=process: a state that restarts the minion must not kill the job that is running that state
    cat >"$unit/salt-minion.service" <<-'U'
	[Unit]
	Description=Salt minion
	After=network.target
	[Service]
	ExecStart=/opt/salt/bin/salt-minion -c /etc/salt
	TimeoutStopSec=5
	KillMode=process
	Restart=on-failure
	RestartSec=2
	[Install]
	WantedBy=multi-user.target
	U
    echo "$SALT" >"$RIG_BASE/opt/salt/rig-salt"                         # last: says that salt is complete
}

salt= force=
for a in "$@"; do case $a in
    --salt) salt=1 ;;
    --force) force=1 ;;
    *) sed -n '2,/^set /{/^#/p}' "$0"; exit 2 ;;
esac; done
[ "$(id -u)" = 0 ] || die "must be root"
case $RIG_BASE in *[,:\\\ ]*) die "overlayfs takes no comma, colon, backslash or blank in a path: $RIG_BASE" ;; esac

mkdir -p "$RIG_DIR"
exec 9>"$RIG_DIR/base.lock"; flock 9                                    # tests may ask for the image in parallel
STAMP=$(echo "1 $SUITE $PKGS" | sha256sum | cut -c1-16)                 # another package list: another image

machine_tools
if [ -z "$force" ] && [ "$(cat "$RIG_BASE/etc/rig-base" 2>/dev/null)" = "$STAMP" ]; then
    say "image is there"
else
    build_image
fi
if [ -n "$salt" ]; then
    if [ "$(cat "$RIG_BASE/opt/salt/rig-salt" 2>/dev/null)" = "$SALT" ]; then say "salt is there"; else add_salt; fi
fi
say "done: $RIG_BASE, $(du -sxm "$RIG_BASE" | cut -f1) MiB, $SECONDS s"
