# Run on a Debian machine's root by packages.rs: two releases are below /tmp.
fail() { echo "$1"; exit 1; }
listing() { find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /run -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache -o -path /etc/passwd -o -path /etc/group -o -path /etc/shadow -o -path /etc/gshadow \) -prune -o -print | grep -vE '^/etc/(passwd|group|shadow|gshadow|.pwd.lock)-?$' | sort; }
listing >/tmp/before

dpkg --install /tmp/first/*.deb >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }
for user in kube-apiserver kube-controller-manager cloud-controller-manager kube-scheduler etcd; do
    getent passwd "$user" >/dev/null || fail "no user $user"
done
enabled=$(find /etc/systemd/system -name 'kube*' -o -name podnet.service -o -name 'cloud-*' -o -name 'magnetite*')
[ -z "$enabled" ] || fail "enabled by an install: $enabled"

units=$(dpkg --listfiles magnetite-cli magnetite-node magnetite-control-plane magnetite-course-images |
    grep -E '^/lib/systemd/system/.*\.(service|timer)$')
[ "$(echo "$units" | wc -l)" = 12 ] || fail "units: $units"
told=$(systemd-analyze verify --man=no $units 2>&1) || fail "verify: $told"
[ -z "$(echo "$told" | grep -E 'magnetite|kube|podnet|cloud-controller')" ] || fail "verify: $told"
# The control plane's exposure is "OK", the nodes' programs are as hard as their work bears.
check() { systemd-analyze security --offline=true --no-pager --threshold="$2" "$1" >/tmp/security || fail "$1: $(tail -n 1 /tmp/security)"; }
for unit in kube-etcd kube-apiserver kube-controller-manager cloud-controller-manager kube-scheduler magnetite-registry; do
    check "/lib/systemd/system/$unit.service" 20
done
for unit in kube-proxy podnet kubeadm-renew kubeadm-renew-boot; do
    check "/lib/systemd/system/$unit.service" 35
done
check /lib/systemd/system/kubelet.service 72

# What a machine gathers, and what its administrator did.
mkdir -p /etc/kubernetes/pki /var/lib/etcd/member /var/lib/kubelet
echo key >/etc/kubernetes/pki/ca.key
echo data >/var/lib/etcd/member/db
echo config >/var/lib/kubelet/config.yaml
systemctl --quiet enable kubelet.service kubeadm-renew.timer
echo '# mine' >>/etc/containerd/certs.d/_default/hosts.toml
state() { cat /etc/kubernetes/pki/ca.key /var/lib/etcd/member/db /var/lib/kubelet/config.yaml; }
links() { ls /etc/systemd/system/multi-user.target.wants/kubelet.service /etc/systemd/system/timers.target.wants/kubeadm-renew.timer; }
before=$(state)

dpkg --install /tmp/second/*.deb >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }
[ "$(state)" = "$before" ] || fail "an upgrade touched state"
links >/dev/null || fail "an upgrade disabled units"
grep -q '^# mine' /etc/containerd/certs.d/_default/hosts.toml || fail "an upgrade took the administrator's file"
changed=$(dpkg --verify magnetite-cli magnetite-node magnetite-control-plane | grep -v ' /usr/share/\(doc\|man\|locale\)/' || true)
[ -z "$changed" ] || fail "not as packed: $changed"
kubectl version --client | grep -q 'v1\.36\.0' || fail "kubectl"
kubeadm version --output short | grep -q 'v1\.36\.0' || fail "kubeadm"
(cd /usr/bin && grep -o '"kube[a-z-]*": "[0-9a-f]*"' /usr/share/magnetite/release.json | tr -d '":,' |
    awk '{print $2 "  " $1}' | sha256sum --check --quiet) || fail "release.json"
grep -q '"build": 2' /usr/share/magnetite/release.json || fail "release.json: build"
bash -n /usr/share/bash-completion/completions/kubectl /usr/share/bash-completion/completions/kubeadm

dpkg --remove magnetite-course-images magnetite-control-plane magnetite-node magnetite-cli >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }
[ ! -e /usr/bin/kubelet ] || fail "kubelet is left"
[ "$(state)" = "$before" ] || fail "a removal touched state"
test -L /etc/systemd/system/multi-user.target.wants/kubelet.service || fail "a removal disabled units"

dpkg --purge magnetite-course-images magnetite-control-plane magnetite-node magnetite-cli >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }
[ "$(state)" = "$before" ] || fail "a purge touched state"
rm -r /etc/kubernetes /var/lib/etcd/member /var/lib/kubelet
listing >/tmp/after
diff /tmp/before /tmp/after || fail "a purge left or took the files above"
echo "all is well"
