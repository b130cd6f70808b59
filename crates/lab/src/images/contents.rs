//! What is in each image: this workspace's own binaries, and programs of Debian packages.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::oci::Layer;
use crate::{Topology, processes::run};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n";
const GROUP: &str = "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n";

const NGINX_CONF: &str = "user www-data;
worker_processes 1;
error_log /var/log/nginx/error.log notice;
pid /run/nginx.pid;
events { worker_connections 512; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /var/log/nginx/access.log;
    sendfile on;
    include /etc/nginx/conf.d/*.conf;
}
";
const NGINX_SITE: &str = "server {
    listen 80;
    server_name localhost;
    location / {
        root /usr/share/nginx/html;
        index index.html index.htm;
    }
}
";
const NGINX_PAGE: &str = "<!DOCTYPE html>
<html>
<head><title>Welcome to nginx!</title></head>
<body>
<h1>Welcome to nginx!</h1>
<p>The web server is running in a pod.</p>
</body>
</html>
";

const CURL_ENTRYPOINT: &str = r#"#!/bin/sh
if command -v "$1" >/dev/null; then
    exec "$@"
fi
exec curl "$@"
"#;

fn own(topology: &Topology, layer: &mut Layer, binary: &str) -> anyhow::Result<()> {
    layer.copy(&topology.binaries.join(binary), &format!("/{binary}"), 0o755)
}

/// The sandbox's program.
pub fn pause(topology: &Topology, layer: &mut Layer) -> anyhow::Result<()> {
    own(topology, layer, "pause")
}

/// The HTTP server that tells its host's name, with a shell beside it.
pub fn chk_hn(topology: &Topology, layer: &mut Layer) -> anyhow::Result<()> {
    own(topology, layer, "chk-hn")?;
    busybox(topology, layer)
}

/// The same server, which keeps a log of its visits.
pub fn chk_log(topology: &Topology, layer: &mut Layer) -> anyhow::Result<()> {
    layer.directory("/audit", 0o777)?;
    chk_hn(topology, layer)
}

/// The provisioner of the storage class that is the default.
pub fn local_path_provisioner(topology: &Topology, layer: &mut Layer) -> anyhow::Result<()> {
    layer.directory("/tmp", 0o1777)?;
    own(topology, layer, "local-path-provisioner")
}

/// The DNS server.
pub fn cluster_dns(topology: &Topology, layer: &mut Layer) -> anyhow::Result<()> {
    layer.directory("/tmp", 0o1777)?;
    own(topology, layer, "cluster-dns")
}

/// The server of the metrics API.
pub fn metrics_server(topology: &Topology, layer: &mut Layer) -> anyhow::Result<()> {
    layer.directory("/tmp", 0o1777)?;
    own(topology, layer, "metrics-server")
}

/// busybox, statically linked, under the name of each of its applets.
pub fn busybox(_: &Topology, layer: &mut Layer) -> anyhow::Result<()> {
    let program = Path::new("/usr/bin/busybox");
    let program = if program.exists() { program } else { Path::new("/bin/busybox") };
    layer.copy(program, "/bin/busybox", 0o755)?;
    for applet in run(&program.to_string_lossy(), &["--list"])?.lines().filter(|applet| *applet != "busybox")
    {
        layer.link(&format!("/bin/{applet}"), "busybox")?;
    }
    layer.link("/usr/bin/env", "/bin/busybox")?;
    layer.text("/etc/passwd", 0o644, PASSWD)?;
    layer.text("/etc/group", 0o644, GROUP)?;
    layer.directory("/root", 0o700)?;
    layer.directory("/tmp", 0o1777)?;
    layer.directory("/var/www", 0o755)
}

/// curl with the libraries it is linked to, and busybox's shell. As in the upstream image, what begins like an option
/// or an address is for curl, and anything else is a command.
pub fn curl(topology: &Topology, layer: &mut Layer) -> anyhow::Result<()> {
    busybox(topology, layer)?;
    let program = Path::new("/usr/bin/curl");
    layer.copy(program, "/usr/bin/curl", 0o755)?;
    for library in libraries(program)? {
        let real = library.canonicalize()?;
        layer.copy(&real, &library.to_string_lossy(), 0o755)?;
    }
    layer.text("/entrypoint.sh", 0o755, CURL_ENTRYPOINT)
}

/// nginx with the libraries it is linked to, its welcome page, and busybox's shell.
pub fn nginx(topology: &Topology, layer: &mut Layer) -> anyhow::Result<()> {
    busybox(topology, layer)?;
    let program = Path::new("/usr/sbin/nginx");
    layer.copy(program, "/usr/sbin/nginx", 0o755)?;
    for library in libraries(program)? {
        let real = library.canonicalize()?;
        layer.copy(&real, &library.to_string_lossy(), 0o755)?;
    }
    layer.text("/etc/nginx/nginx.conf", 0o644, NGINX_CONF)?;
    layer.text("/etc/nginx/conf.d/default.conf", 0o644, NGINX_SITE)?;
    layer.copy(Path::new("/etc/nginx/mime.types"), "/etc/nginx/mime.types", 0o644)?;
    layer.text("/usr/share/nginx/html/index.html", 0o644, NGINX_PAGE)?;
    layer.directory("/var/lib/nginx", 0o755)?;
    layer.directory("/run", 0o755)?;
    // As the upstream image does: what nginx logs is what `kubectl logs` shows.
    layer.link("/var/log/nginx/access.log", "/dev/stdout")?;
    layer.link("/var/log/nginx/error.log", "/dev/stderr")
}

/// The shared objects that the dynamic linker loads for a program, the linker itself included.
fn libraries(program: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listed = run("ldd", &[&program.to_string_lossy()])
        .with_context(|| format!("asking for the libraries of {}", program.display()))?;
    let mut paths: Vec<PathBuf> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}
