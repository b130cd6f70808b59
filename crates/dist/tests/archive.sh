# Run on a Debian machine's root by packages.rs: two releases are below /tmp.
fail() { echo "$1"; exit 1; }
listing() { find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /run \) -prune -o ! -type d -print | grep -vE '^/etc/(passwd|group|shadow|gshadow|.pwd.lock)-?$' | sort; }
listing >/tmp/before

mkdir /tmp/unpacked
tar -xzf /tmp/first/*.tar.gz -C /tmp/unpacked
tar -xzf /tmp/second/*.tar.gz -C /tmp/unpacked
cd /tmp/unpacked
if ./magnetite-1.36.0-1-*/install.sh upgrade 2>/dev/null; then fail "upgraded what is not there"; fi
./magnetite-1.36.0-1-*/install.sh install >/tmp/log
for user in kube-apiserver kube-controller-manager cloud-controller-manager kube-scheduler etcd; do
    getent passwd "$user" >/dev/null || fail "no user $user"
done
units=$(ls /etc/systemd/system/kube*.service /etc/systemd/system/cloud-*.service /etc/systemd/system/podnet.service)
told=$(systemd-analyze verify --man=no $units 2>&1) || fail "verify: $told"
[ -z "$(echo "$told" | grep -E 'kube|podnet|cloud-controller')" ] || fail "verify: $told"
grep -q '^ExecStart=/usr/local/bin/kubelet ' /etc/systemd/system/kubelet.service || fail "the kubelet's place"
grep -q '^ExecStart=/usr/bin/etcd ' /etc/systemd/system/kube-etcd.service || fail "etcd's place"
[ ! -e /usr/local/lib/magnetite ] || fail "a part that was not asked for"

mkdir -p /etc/kubernetes/pki
echo key >/etc/kubernetes/pki/ca.key
./magnetite-1.36.0-2-*/install.sh upgrade >/tmp/log
/usr/local/bin/kubectl version --client | grep -q 'v1\.36\.0' || fail "kubectl"
grep -q '"build": 2' /usr/share/magnetite/release.json || fail "release.json"
./magnetite-1.36.0-2-*/install.sh uninstall >/tmp/log
[ "$(cat /etc/kubernetes/pki/ca.key)" = key ] || fail "a removal touched state"
rm -r /etc/kubernetes
listing >/tmp/after
diff /tmp/before /tmp/after || fail "a removal left or took the files above"
[ -d /usr/local/bin ] || fail "a removal took /usr/local/bin"
[ ! -e /usr/share/magnetite ] || fail "a removal left /usr/share/magnetite"
echo "all is well"
