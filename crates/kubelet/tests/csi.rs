//! Volumes of a real driver over real sockets, mounted in a mount namespace of the test's own.
//!
//! Needs root; without it there is nothing to test and the tests pass with a word on standard error.

#![allow(clippy::unwrap_used, reason = "a test ends where what it needs is not there")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use component::Runtime;
use csi::v1::{CreateVolumeRequest, VolumeCapability};
use kubelet::csi::{Csi, Growth, Layout, Lifecycle, Mount, Spec, Terms, VolumeId};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use volumes::ChangePolicy;
use volumes::mount::is_mount_point;

const DRIVER: &str = "hostpath.csi.k8s.io";
const NODE: &str = "n1";

/// A kubelet's root directory, a driver, and what registers it.
struct Ground {
    folder: tempfile::TempDir,
    kubelet: Arc<Csi>,
    follower: tokio::task::JoinHandle<()>,
    registrar: Runtime,
    _driver: Runtime,
}

/// Runs a test where mounts are its own; not at all without the right to mount.
fn with_ground(test: impl AsyncFnOnce(Ground)) {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not root: nothing can be mounted");
        return;
    }
    // Of this thread, and of those that it starts.
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let driver = Runtime::detached();
        let config = csi_hostpath_driver::Config {
            socket: root.join("csi.sock"),
            driver: DRIVER.into(),
            node: NODE.into(),
            state: root.join("data"),
            topology: true,
            attach: true,
            node_expansion: true,
            max_volumes: 0,
        };
        csi_hostpath_driver::start(&driver, config).unwrap();
        let (kubelet, follower) = start_kubelet(&root);
        let registrar = register(&root);
        let ground = Ground { folder, kubelet, follower, registrar, _driver: driver };
        ground.until("the driver is registered", || ground.kubelet.drivers.get(DRIVER).is_ok()).await;
        test(ground).await;
    });
}

fn start_kubelet(root: &Path) -> (Arc<Csi>, tokio::task::JoinHandle<()>) {
    let csi = Arc::new(Csi::new(NODE, &root.join("kubelet"), None, Runtime::detached()));
    let followed = Arc::clone(&csi);
    (csi, tokio::spawn(async move { followed.follow(|| {}).await.unwrap() }))
}

fn register(root: &Path) -> Runtime {
    let runtime = Runtime::detached();
    let registry = Layout::new(&root.join("kubelet")).registry();
    let endpoint = root.join("csi.sock").display().to_string();
    csi_sidecar::register(&runtime, registry, DRIVER.into(), endpoint).unwrap();
    runtime
}

impl Ground {
    async fn until(&self, what: &str, done: impl Fn() -> bool) {
        testkit::eventually(|| async { done().then_some(()).ok_or(what) }).await;
    }

    /// Has the driver make a volume.
    async fn make(&self, name: &str) {
        let client = csi::Client::new(&self.folder.path().join("csi.sock"), Duration::from_secs(10));
        let kind = csi::AccessType::Mount { fs_type: String::new(), flags: Vec::new(), group: String::new() };
        let capability: VolumeCapability =
            csi::capability(&kind, csi::access_mode("ReadWriteOnce", csi::Driver::Plain));
        let request = CreateVolumeRequest {
            name: name.into(),
            volume_capabilities: vec![capability],
            ..CreateVolumeRequest::default()
        };
        client.create_volume(request).await.unwrap();
    }

    fn data(&self, volume: &str) -> PathBuf {
        self.folder.path().join("data").join(volume).join("data")
    }

    fn layout(&self) -> Layout {
        Layout::new(&self.folder.path().join("kubelet"))
    }

    /// The kubelet goes, and another comes in its place, which knows only what is on the disk.
    fn restart(&mut self) {
        self.follower.abort();
        (self.kubelet, self.follower) = start_kubelet(self.folder.path());
    }
}

fn id(handle: &str) -> VolumeId {
    VolumeId { driver: DRIVER.into(), handle: handle.into() }
}

fn wanted(pod: &str, handle: &str) -> Mount {
    Mount {
        spec: Spec {
            name: format!("pv-{handle}"),
            id: id(handle),
            lifecycle: Lifecycle::Persistent,
            fs_type: "ext4".into(),
            mount_flags: Vec::new(),
            access_mode: "ReadWriteOnce".into(),
            of_one_node: true,
            read_only: false,
            attributes: BTreeMap::new(),
            stage_secret: None,
            publish_secret: None,
            expand_secret: None,
        },
        terms: Terms::of(None),
        pod_uid: pod.into(),
        publish_context: BTreeMap::from([("attachedTo".into(), NODE.into())]),
        more_context: BTreeMap::new(),
        stage_secrets: BTreeMap::new(),
        publish_secrets: BTreeMap::new(),
        group: None,
    }
}

#[test]
fn two_pods_share_a_volume_that_is_staged_once_and_the_last_takes_it_away() {
    with_ground(async |ground| {
        ground.make("v").await;
        let csi = &ground.kubelet;
        let mut first = wanted("one", "v");
        first.group = Some((4321, ChangePolicy::Always));
        let one = csi.mount(&first).await.unwrap();
        fs::write(one.join("note"), "kept").unwrap();
        assert_eq!(fs::read(ground.data("v").join("note")).unwrap(), b"kept");
        assert_eq!(std::os::unix::fs::MetadataExt::gid(&fs::metadata(&one).unwrap()), 4321);
        let global_mount = ground.layout().global_mount(&id("v"));
        assert!(is_mount_point(&global_mount).unwrap());

        // The driver would not stage what is not attached: it is not asked to.
        let mut second = wanted("two", "v");
        second.publish_context.clear();
        second.spec.read_only = true;
        let two = csi.mount(&second).await.unwrap();
        assert_eq!(fs::read(two.join("note")).unwrap(), b"kept");
        assert!(fs::write(two.join("note"), "x").is_err(), "it is read-only for the second pod");
        assert_eq!(csi.mount(&first).await.unwrap(), one, "what is mounted stays");
        let name = "kubernetes.io/csi/hostpath.csi.k8s.io^v".to_owned();
        assert_eq!(csi.in_use(), [name.clone()].into());

        csi.unmount_pod("one").await.unwrap();
        assert!(!one.exists() && is_mount_point(&two).unwrap() && is_mount_point(&global_mount).unwrap());
        assert_eq!(csi.in_use(), [name].into());
        csi.unmount_pod("two").await.unwrap();
        assert!(!two.exists() && !ground.layout().staging(&id("v")).exists());
        assert!(csi.in_use().is_empty());
        assert_eq!(fs::read(ground.data("v").join("note")).unwrap(), b"kept");
        csi.unmount_pod("two").await.unwrap();
    });
}

#[test]
fn a_kubelet_that_comes_back_finds_what_is_mounted() {
    with_ground(async |mut ground| {
        ground.make("v").await;
        let target = ground.kubelet.mount(&wanted("one", "v")).await.unwrap();
        // Another volume was staged, and then the kubelet was killed.
        ground.make("lost").await;
        ground.kubelet.mount(&wanted("gone", "lost")).await.unwrap();
        let staged = ground.layout().global_mount(&id("lost"));
        let published = ground.layout().publishing("gone", "pv-lost");
        nix::mount::umount(&published.join("mount")).unwrap();
        fs::remove_dir_all(&published).unwrap();

        ground.registrar.shutdown().cancel();
        ground.until("the driver is gone", || ground.kubelet.drivers.get(DRIVER).is_err()).await;
        ground.restart();
        let csi = Arc::clone(&ground.kubelet);
        assert_eq!(csi.in_use().len(), 2);
        // What is mounted needs no driver; to take it away does.
        assert_eq!(csi.mount(&wanted("one", "v")).await.unwrap(), target);
        let refused = format!("{:#}", csi.unmount_pod("one").await.unwrap_err());
        assert!(refused.contains("not found in the list of registered CSI drivers"), "{refused}");
        let refused = format!("{:#}", csi.mount(&wanted("new", "v")).await.unwrap_err());
        assert!(refused.contains("driver name hostpath.csi.k8s.io not found"), "{refused}");
        assert!(is_mount_point(&target).unwrap());
        // That pod has nothing mounted, and need not wait.
        csi.unmount_pod("new").await.unwrap();

        ground.registrar = register(ground.folder.path());
        ground.until("the driver is back", || csi.drivers.get(DRIVER).is_ok()).await;
        // A second pod finds the volume staged by the kubelet before.
        let mut second = wanted("two", "v");
        second.publish_context.clear();
        csi.mount(&second).await.unwrap();
        csi.sweep().await.unwrap();
        assert!(!staged.exists(), "what no pod has is taken from the node");
        assert!(is_mount_point(&target).unwrap());
        csi.unmount_pod("one").await.unwrap();
        csi.unmount_pod("two").await.unwrap();
        assert!(csi.in_use().is_empty());
    });
}

#[test]
fn a_pods_own_volume_goes_with_it_and_a_volume_grows_where_it_is() {
    with_ground(async |ground| {
        let csi = &ground.kubelet;
        let mut own = wanted("one", "csi-own");
        own.spec.lifecycle = Lifecycle::Ephemeral;
        own.more_context.insert("csi.storage.k8s.io/ephemeral".into(), "true".into());
        let target = csi.mount(&own).await.unwrap();
        fs::write(target.join("note"), "x").unwrap();
        assert!(ground.data("csi-own").join("note").exists());
        assert!(csi.in_use().is_empty(), "it is not attached");
        assert!(!ground.layout().staging(&id("csi-own")).exists(), "it is not staged");
        csi.unmount_pod("one").await.unwrap();
        assert!(!ground.data("csi-own").exists());

        ground.make("v").await;
        let mount = wanted("two", "v");
        let growth = Growth { size: "2Gi".into(), bytes: 2 << 30 };
        let target = csi.mount(&mount).await.unwrap();
        csi.expand(&mount, &target, &growth, BTreeMap::new()).await.unwrap();
        csi.unmount_pod("two").await.unwrap();
        let refused = csi.expand(&mount, &target, &growth, BTreeMap::new()).await.unwrap_err();
        assert!(format!("{refused:#}").contains("code = NotFound"), "{refused:#}");

        // What is not attached is not staged, and what was begun is undone with the pod.
        let mut unattached = wanted("three", "v");
        unattached.publish_context.clear();
        let refused = format!("{:#}", csi.mount(&unattached).await.unwrap_err());
        assert!(refused.contains("MountVolume.MountDevice failed"), "{refused}");
        assert_eq!(csi.in_use().len(), 1);
        csi.unmount_pod("three").await.unwrap();
        assert!(csi.in_use().is_empty());
    });
}
