# Makes a box for Vagrant's libvirt provider out of Debian's packages: box.sh DIRECTORY MIRROR. The kernel and its initial
# file system lie beside the disk, so that QEMU boots them without a boot loader. Run as root.
set -eu
directory=$1
mirror=$2
root=$directory/root
mkdir -p "$directory"
rm -rf --one-file-system "$root"

# What the packages depend on is in the box: the machines have no network but their own.
include=systemd-sysv,dbus,udev,kmod,linux-image-cloud-amd64,initramfs-tools,openssh-server,sudo,ifupdown,isc-dhcp-client
include=$include,netbase,iproute2,iputils-ping,ca-certificates,curl,procps,bash-completion,rsync,less,man-db
include=$include,conntrack,containerd,runc,containernetworking-plugins,iptables,nftables,etcd-server,etcd-client
include=$include,nfs-common,nfs-kernel-server
# Modules that the root file system needs are few and fixed: no scan of this machine's hardware.
mkdir -p "$root/etc/initramfs-tools/conf.d"
debootstrap --variant=minbase --include="$include" bookworm "$root" "$mirror" >"$directory/debootstrap.log" ||
    { tail -n 5 "$directory/debootstrap.log"; exit 1; }

cat >"$root/etc/network/interfaces" <<'END'
auto lo
iface lo inet loopback
allow-hotplug eth0
iface eth0 inet dhcp
END
echo '/dev/vda / ext4 errors=remount-ro 0 1' >"$root/etc/fstab"
echo 'bookworm' >"$root/etc/hostname"
printf '127.0.0.1\tlocalhost\n' >"$root/etc/hosts"
printf 'UseDNS no\nGSSAPIAuthentication no\n' >"$root/etc/ssh/sshd_config.d/vagrant.conf"
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/vagrant"
chmod 0440 "$root/etc/sudoers.d/vagrant"
chroot "$root" useradd --create-home --shell /bin/bash vagrant
mkdir -m 0700 "$root/home/vagrant/.ssh"
cp "$3" "$root/home/vagrant/.ssh/authorized_keys"
chroot "$root" chown -R vagrant:vagrant /home/vagrant/.ssh
# Each machine makes its own identity, or all would share one address; dbus must not bring another.
: >"$root/etc/machine-id"
mkdir -p "$root/var/lib/dbus"
ln -sf /etc/machine-id "$root/var/lib/dbus/machine-id"
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer \
    systemd-timesyncd.service getty@tty1.service man-db.timer
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*

cp "$root"/boot/vmlinuz-* "$directory/vmlinuz"
cp "$root"/boot/initrd.img-* "$directory/initrd"
truncate -s 6G "$directory/disk"
mke2fs -q -F -t ext4 -O ^metadata_csum_seed -d "$root" "$directory/disk"
qemu-img convert -O qcow2 "$directory/disk" "$directory/box.img"
rm -rf --one-file-system "$root" "$directory/disk"
echo '{"provider": "libvirt", "format": "qcow2", "virtual_size": 6}' >"$directory/metadata.json"
cat >"$directory/Vagrantfile" <<END
Vagrant.configure("2") do |config|
  config.ssh.insert_key = false
  config.vm.boot_timeout = 900
  config.vm.graceful_halt_timeout = 180
  config.vm.provider :libvirt do |libvirt|
    libvirt.driver = "qemu"
    libvirt.kernel = "$directory/vmlinuz"
    libvirt.initrd = "$directory/initrd"
    libvirt.cmd_line = "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet"
    libvirt.graphics_type = "none"
    libvirt.video_type = "none"
  end
end
END
tar -C "$directory" -cf "$directory/magnetite.box" metadata.json Vagrantfile box.img
rm "$directory/box.img"
