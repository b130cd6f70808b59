#!/bin/sh
# Installs, upgrades and removes Magnetite on distributions without its Debian packages.
#
#   ./install.sh install [PART...]     put the files of the parts in place; all parts but the course's images by default
#   ./install.sh upgrade               put the files of this release in place of those of an installed one
#   ./install.sh uninstall             remove what an install put in place
#
# Parts: cli node control-plane course-images. Nothing is started, also by an upgrade: kubeadm does that. Of a machine's
# state (/etc/kubernetes, /var/lib/kubelet, /var/lib/etcd) nothing is ever removed: kubeadm reset does that.
# With DESTDIR set, files go below it and no program of the machine is run.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=${DESTDIR:-}
units=/etc/systemd/system
state=/usr/share/magnetite
all_units="kubeadm-renew.timer kubeadm-renew.service kubeadm-renew-boot.service kubelet.service kube-proxy.service
    podnet.service kube-scheduler.service cloud-controller-manager.service kube-controller-manager.service
    kube-apiserver.service kube-etcd.service magnetite-registry.service"

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

# Where a file of a package is on a machine that has no packages: the administrator's own places.
place() {
    case $1 in
    usr/bin/*) echo "/usr/local/bin/${1#usr/bin/}" ;;
    usr/lib/magnetite/*) echo "/usr/local/lib/magnetite/${1#usr/lib/magnetite/}" ;;
    lib/systemd/system/*) echo "$units/${1#lib/systemd/system/}" ;;
    usr/lib/sysusers.d/*) echo "/etc/sysusers.d/${1#usr/lib/sysusers.d/}" ;;
    usr/lib/modules-load.d/*) echo "/etc/modules-load.d/${1#usr/lib/modules-load.d/}" ;;
    usr/share/man/*) echo "/usr/local/share/man/${1#usr/share/man/}" ;;
    usr/share/zsh/vendor-completions/*) echo "/usr/local/share/zsh/site-functions/${1##*/}" ;;
    usr/share/bash-completion/* | usr/share/fish/* | usr/share/doc/*) echo "/usr/local/${1#usr/}" ;;
    *) echo "/$1" ;;
    esac
}

# Puts a file in place in one step, so that a program that runs keeps its own until it is started again.
put() {
    mkdir -p "$(dirname "$root$2")"
    cp -P "$1" "$root$2.new"
    case $2 in
    "$units"/*)
        sed -i -e 's#=/usr/bin/\(kube\|cloud-\|podnet\)#=/usr/local/bin/\1#' \
            -e 's#=/usr/lib/magnetite/#=/usr/local/lib/magnetite/#' -e "s#=/usr/bin/etcd#=$etcd#" "$root$2.new"
        ;;
    esac
    mv -f "$root$2.new" "$root$2"
}

# Lists what a part puts in place.
files() {
    (cd "$here/$1" && find . \( -type f -o -type l \) | sed 's#^\./##' | sort)
}

install_parts() {
    [ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "run it as root"
    if [ -z "$root" ] && dpkg -s magnetite-cli >/dev/null 2>&1; then
        fail "Magnetite is installed from packages here; upgrade it with them: apt install ./magnetite-*.deb"
    fi
    etcd=$(command -v etcd || echo /usr/local/bin/etcd)
    mkdir -p "$root$state"
    : >"$root$state/installed-files.new"
    for part in $1; do
        [ -d "$here/$part" ] || fail "there is no part $part; parts are: cli node control-plane course-images"
        for file in $(files "$part"); do
            to=$(place "$file")
            case $to in
            # What the administrator may have changed stays.
            /etc/containerd/*) [ -e "$root$to" ] || put "$here/$part/$file" "$to" ;;
            *) put "$here/$part/$file" "$to" ;;
            esac
            echo "$to" >>"$root$state/installed-files.new"
        done
    done
    # What the release before had and this one has not.
    if [ -e "$root$state/installed-files" ]; then
        while read -r file; do
            grep -qxF "$file" "$root$state/installed-files.new" || rm -f "$root$file"
        done <"$root$state/installed-files"
    fi
    mv -f "$root$state/installed-files.new" "$root$state/installed-files"
    echo "$1" >"$root$state/installed-parts"
    [ -z "$root" ] || return 0
    case " $1 " in
    *" control-plane "*)
        systemd-sysusers /etc/sysusers.d/magnetite.conf
        [ -x "$etcd" ] || echo "etcd is not there yet: put it at $etcd"
        ;;
    esac
    reload
}

reload() {
    [ ! -d /run/systemd/system ] || systemctl daemon-reload
}

case ${1:-} in
install)
    shift
    parts="${*:-cli node control-plane}"
    install_parts "$parts"
    echo "Installed $parts. Make a cluster with kubeadm init, or join one with kubeadm join."
    ;;
upgrade)
    [ -e "$root$state/installed-parts" ] || fail "nothing is installed; use: ./install.sh install"
    install_parts "$(cat "$root$state/installed-parts")"
    echo "Upgraded. What runs is what was started before: kubeadm upgrade restarts it."
    ;;
uninstall)
    [ -e "$root$state/installed-files" ] || fail "nothing is installed"
    if [ -z "$root" ] && [ -d /run/systemd/system ]; then
        for unit in $all_units; do
            systemctl --quiet disable --now "$unit" 2>/dev/null || true
        done
    fi
    while read -r file; do
        rm -f "$root$file"
        # Directories of its own go with their last file.
        case $file in
        */magnetite/* | */magnetite-*/*) rmdir --ignore-fail-on-non-empty "$(dirname "$root$file")" 2>/dev/null || true ;;
        esac
    done <"$root$state/installed-files"
    rm -f "$root$state/installed-files" "$root$state/installed-parts"
    rmdir --ignore-fail-on-non-empty "$root$state" 2>/dev/null || true
    [ -n "$root" ] || reload
    echo "Removed. The machine's state is left: /etc/kubernetes, /var/lib/kubelet, /var/lib/etcd."
    ;;
*)
    sed -n '2,/^set -eu/{/^#/s/^# \{0,1\}//p}' "$0"
    exit 2
    ;;
esac
