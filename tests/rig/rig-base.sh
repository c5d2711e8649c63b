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
# Salt is built in the image, by the python that will run it, and with what this machine is told about its package index:
# PIP_*, *_proxy, SSL_CERT_* and the like, pip.conf, netrc, apt's settings of Acquire, resolv.conf, certificates. Its
# wheels stay in $RIG_DIR/wheels-salt-*; that folder, copied to another machine of the same kind, saves building it there.
set -euo pipefail
umask 022                       # the image's folders must be readable for the users inside, whatever the caller's umask
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

HERE=$(dirname -- "$(realpath -- "$0")")
RIG_DIR=$(realpath -m -- "${RIG_DIR:-${CARGO_TARGET_DIR:-$HERE/../../target}/rig}")
RIG_BASE=$(realpath -m -- "${RIG_BASE:-$RIG_DIR/base}")
SUITE=bookworm
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

# This machine's settings of apt, as lines of apt.conf. A program that finds the proxy is not in the image: it is asked
# here, as debootstrap does.
apt_told() {
    local auto=
    command -v apt-config >/dev/null || return 0
    apt-config dump | awk '/^Acquire::(https?::|Check-|Retries |Force)/ && !/::Proxy-?Auto-?Detect /'
    eval "$(apt-config shell auto Acquire::http::Proxy-Auto-Detect)"
    [ ! -x "$auto" ] || printf 'Acquire::http::Proxy "%s";\n' "$("$auto")"
}

# The variables that name a package index, a proxy or a certificate.
TOLD='^((PIP|SSL_CERT|XDG_CONFIG)_.*|(REQUESTS|CURL)_CA_BUNDLE|(.*_)?(proxy|PROXY))$'

# Runs a command in the image, under the layer $1/up, with this machine's network. The machine's settings are at the same
# place in there, and so is each file and folder that they name (pip's cert, find-links): read-only. $2 can be written.
in_builder() {                  # BUILDER WRITABLE CMD..
    local b=$1 out=$2 home=${HOME:-/root} v dirs vars=() conf certs=() paths
    shift 2
    for v in $(compgen -e); do [[ ! $v =~ $TOLD ]] || vars+=("$v=${!v}"); done
    IFS=: read -ra dirs <<<"${XDG_CONFIG_DIRS:-/etc/xdg}"
    conf=(/etc/pip.conf "${dirs[@]/%//pip/pip.conf}" "${XDG_CONFIG_HOME:-$home/.config}/pip/pip.conf" "$home/.pip/pip.conf"
          ${PIP_CONFIG_FILE:+"$PIP_CONFIG_FILE"} "$home/.netrc")
    mapfile -t paths < <({ printf '%s\n' "${vars[@]}"; cat "${conf[@]}" "$b/up/etc/apt/apt.conf.d/"*; } 2>/dev/null |
        grep -oE "/[^][:space:]:;,'\"[]+" | xargs -rd '\n' realpath -ms -- | sort -u)
    # a machine without ca-certificates: the image's own are better than none
    [ ! -e /etc/ssl/certs/ca-certificates.crt ] || certs=(/etc/ssl /usr/share/ca-certificates /usr/local/share/ca-certificates)
    paths=(/etc/resolv.conf /etc/hosts "${certs[@]}" "${conf[@]}" "${paths[@]}")
    # a pid namespace: whatever ends the command ends all that it started
    unshare --mount --pid --fork --kill-child --propagation private bash -ec '
        base=$1 b=$2 out=$3 n=$4; shift 4
        mount -t overlay builder -o "lowerdir=$base,upperdir=$b/up,workdir=$b/work" "$b/root"
        mount -t proc proc "$b/root/proc"
        for p in "${@:1:n}" "$out"; do
            [ -e "$p" ] || continue
            at=$b/root$(chroot "$b/root" realpath -m -- "$p")   # a link of the image must not lead out of it
            if [ ! -d "$p" ]; then
                mkdir -p "${at%/*}"
                [ -e "$at" ] || : >"$at"
            else
                case $p in
                /etc/ssl | */ca-certificates) ;;
                *) [ -z "$(ls -A "$at" 2>/dev/null)" ] || continue ;;   # /usr or / is named too: the image keeps its own
                esac
                mkdir -p "$at"
            fi
            if [ "$p" = "$out" ]; then mount --bind "$p" "$at"; else mount -o bind,ro "$p" "$at"; fi
        done
        shift "$n"
        exec chroot "$b/root" "$@"' - "$RIG_BASE" "$b" "$out" ${#paths[@]} "${paths[@]}" \
        /usr/bin/env -i HOME="$home" PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C TMPDIR=/var/tmp \
        DEBIAN_FRONTEND=noninteractive "${vars[@]}" "$@" </dev/null >"$RIG_DIR/wheels.log" 2>&1
}

no_salt() {
    tail -8 "$RIG_DIR/wheels.log" >&2
    rm -rf --one-file-system -- "$RIG_DIR/builder"
    die "cannot build the wheels of salt $SALT (log: $RIG_DIR/wheels.log). $*" \
        "Or copy the folder wheels-salt-$SALT from the RIG_DIR of a machine that has it to $RIG_DIR."
}

salt_wheels() {
    local w=$RIG_DIR/wheels-salt-$SALT b=$RIG_DIR/builder
    [ -e "$w/complete" ] && return
    say "building salt's wheels in the image, once ($w, log: $RIG_DIR/wheels.log)"
    rm -rf --one-file-system -- "$w" "$b"
    mkdir -p "$w" "$b/up/etc/apt/apt.conf.d" "$b/work" "$b/root"
    apt_told >"$b/up/etc/apt/apt.conf.d/99machine"
    # without RIG_MIRROR: the image's own list, the mirror that debootstrap had
    [ -z "${RIG_MIRROR:-}" ] || echo "deb $RIG_MIRROR $SUITE main" >"$b/up/etc/apt/sources.list"
    # one dependency is C without a wheel
    in_builder "$b" "$w" sh -ec '
        apt-get -qq update -o APT::Update::Error-Mode=any
        apt-get -qq install -y --no-install-recommends gcc libc6-dev python3-dev' ||
        no_salt "Debian's mirror did not give a compiler: is it reached from here? Set RIG_MIRROR, http_proxy or apt's proxy."
    in_builder "$b" "$w" sh -ec '
        python3 -m venv /var/tmp/venv
        /var/tmp/venv/bin/pip wheel -q --disable-pip-version-check --use-pep517 -w "$2" "salt==$1"' - "$SALT" "$w" ||
        no_salt "Is a Python package index reached from here? Set what pip needs for it: PIP_INDEX_URL, PIP_CERT," \
            "PIP_FIND_LINKS, https_proxy or /etc/pip.conf."
    rm -rf --one-file-system -- "$b"
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
