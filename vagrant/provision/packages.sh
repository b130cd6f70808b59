#!/bin/sh
# What every machine needs: names of the others, the packages, NFS for the storage chapter. May be run again.
set -eu
hosts=$1
export DEBIAN_FRONTEND=noninteractive

# A machine's own name is its address on the network of the machines, not one of the loopback.
sed -i -e '/^127\.0\.[01]\.1[[:space:]].*-k8s/d' -e '/# magnetite$/d' /etc/hosts
echo "$hosts" | sed 's/$/ # magnetite/' >>/etc/hosts

# Limits of memory hold only where nothing is swapped.
swapoff --all
sed -i '/[[:space:]]swap[[:space:]]/s/^[^#]/#&/' /etc/fstab

# Without a network this works where the box has what the packages depend on.
install() {
    apt-get install --yes --quiet --no-install-recommends "$@" && return
    apt-get update --quiet
    apt-get install --yes --quiet --no-install-recommends "$@"
}
install /tmp/magnetite/*.deb nfs-common nfs-kernel-server bash-completion curl
rm -r /tmp/magnetite

command install --mode=0755 /tmp/nfs-exporter.sh /usr/local/bin/nfs-exporter.sh
rm /tmp/nfs-exporter.sh

# Images of the course come from the machine itself; what it has not is pulled from its registry.
systemctl --quiet enable --now magnetite-registry.service

# kubectl's completion, and the short name that courses use.
cat >/etc/profile.d/kubectl.sh <<'END'
if [ -n "${BASH_VERSION:-}" ] && [ -r /usr/share/bash-completion/completions/kubectl ]; then
    . /usr/share/bash-completion/completions/kubectl
    alias k=kubectl
    complete -o default -F __start_kubectl k
fi
END
for profile in /root/.bashrc /home/vagrant/.bashrc; do
    grep -qs profile.d/kubectl.sh "$profile" || echo '. /etc/profile.d/kubectl.sh' >>"$profile"
done
