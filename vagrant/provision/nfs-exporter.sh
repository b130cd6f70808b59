#!/bin/sh
# Exports a directory to the machines: nfs-exporter.sh NAME makes /nfs_shared/NAME.
set -eu
if [ $# -ne 1 ]; then
    echo "usage: nfs-exporter.sh <name>" >&2
    exit 1
fi
directory=/nfs_shared/$1
mkdir -p "$directory"
line="$directory 192.168.1.0/24(rw,sync,no_root_squash,no_subtree_check)"
grep -qxF "$line" /etc/exports || echo "$line" >>/etc/exports
systemctl --quiet enable --now nfs-kernel-server
exportfs -ra
echo "exported $directory to 192.168.1.0/24"
