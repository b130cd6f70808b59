//! What is in each image: this workspace's own binaries, and programs of Debian packages.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use crate::oci::Layer;

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

/// As in the upstream image, options and a configuration file are for redis-server, and who asks from another machine
/// is answered.
const REDIS_ENTRYPOINT: &str = r#"#!/bin/sh
case "$1" in
-* | *.conf) set -- redis-server "$@" ;;
esac
if [ "$1" = redis-server ]; then
    set -- "$@" --protected-mode no
fi
exec "$@"
"#;

/// A process without a handler for it is not ended by a signal where it is the first: the shell is, and has one.
const COUNTER_ENTRYPOINT: &str = "#!/bin/sh
trap 'exit' TERM INT
httpd -f -p 3000 -h /app &
wait
";
const COUNTER_PAGE: &str = r#"#!/bin/sh
reply=$(printf 'INCR count\r\nQUIT\r\n' | nc "${REDIS_HOST:-redis}" "${REDIS_PORT:-6379}" | head -n 1 | tr -d '\r')
case "$reply" in
:*) printf 'Content-Type: text/plain\r\n\r\n%s\n' "${reply#:}" ;;
*) printf 'Status: 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\nno answer from %s\n' "${REDIS_HOST:-redis}" ;;
esac
"#;

fn own(binaries: &Path, layer: &mut Layer, binary: &str) -> anyhow::Result<()> {
    layer.copy(&binaries.join(binary), &format!("/{binary}"), 0o755)
}

/// The sandbox's program.
pub fn pause(binaries: &Path, layer: &mut Layer) -> anyhow::Result<()> {
    own(binaries, layer, "pause")
}

/// The HTTP server that tells its host's name, with a shell beside it.
pub fn chk_hn(binaries: &Path, layer: &mut Layer) -> anyhow::Result<()> {
    own(binaries, layer, "chk-hn")?;
    busybox(binaries, layer)
}

/// The same server, which keeps a log of its visits.
pub fn chk_log(binaries: &Path, layer: &mut Layer) -> anyhow::Result<()> {
    layer.directory("/audit", 0o777)?;
    chk_hn(binaries, layer)
}

/// The provisioner of the storage class that is the default.
pub fn local_path_provisioner(binaries: &Path, layer: &mut Layer) -> anyhow::Result<()> {
    layer.directory("/tmp", 0o1777)?;
    own(binaries, layer, "local-path-provisioner")
}

/// The storage driver of the tutorial.
pub fn csi_hostpath_driver(binaries: &Path, layer: &mut Layer) -> anyhow::Result<()> {
    layer.directory("/tmp", 0o1777)?;
    own(binaries, layer, "csi-hostpath-driver")
}

/// What stands beside a storage driver.
pub fn csi_sidecar(binaries: &Path, layer: &mut Layer) -> anyhow::Result<()> {
    layer.directory("/tmp", 0o1777)?;
    own(binaries, layer, "csi-sidecar")
}

/// The DNS server.
pub fn cluster_dns(binaries: &Path, layer: &mut Layer) -> anyhow::Result<()> {
    layer.directory("/tmp", 0o1777)?;
    own(binaries, layer, "cluster-dns")
}

/// The server of the metrics API.
pub fn metrics_server(binaries: &Path, layer: &mut Layer) -> anyhow::Result<()> {
    layer.directory("/tmp", 0o1777)?;
    own(binaries, layer, "metrics-server")
}

/// busybox, statically linked, under the name of each of its applets.
pub fn busybox(_: &Path, layer: &mut Layer) -> anyhow::Result<()> {
    let program = Path::new("/usr/bin/busybox");
    let program = if program.exists() { program } else { Path::new("/bin/busybox") };
    layer.copy(program, "/bin/busybox", 0o755)?;
    for applet in printed(program, "--list")?.lines().filter(|applet| *applet != "busybox") {
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
pub fn curl(binaries: &Path, layer: &mut Layer) -> anyhow::Result<()> {
    busybox(binaries, layer)?;
    programs(layer, &[("/usr/bin/curl", "/usr/bin/curl")])?;
    layer.text("/entrypoint.sh", 0o755, CURL_ENTRYPOINT)
}

/// Redis and its command line, with busybox's shell. One program is server and checker, by the name that it is called.
pub fn redis(binaries: &Path, layer: &mut Layer) -> anyhow::Result<()> {
    busybox(binaries, layer)?;
    programs(
        layer,
        &[
            ("/usr/bin/redis-check-rdb", "/usr/local/bin/redis-server"),
            ("/usr/bin/redis-cli", "/usr/local/bin/redis-cli"),
        ],
    )?;
    layer.directory("/data", 0o777)?;
    layer.text("/usr/local/bin/docker-entrypoint.sh", 0o755, REDIS_ENTRYPOINT)
}

/// A web page that counts its visits in a Redis, which `REDIS_HOST` names.
pub fn counter(binaries: &Path, layer: &mut Layer) -> anyhow::Result<()> {
    busybox(binaries, layer)?;
    layer.text("/app/cgi-bin/index.cgi", 0o755, COUNTER_PAGE)?;
    layer.text("/entrypoint.sh", 0o755, COUNTER_ENTRYPOINT)
}

/// nginx with the libraries it is linked to, its welcome page, and busybox's shell.
pub fn nginx(binaries: &Path, layer: &mut Layer) -> anyhow::Result<()> {
    busybox(binaries, layer)?;
    programs(layer, &[("/usr/sbin/nginx", "/usr/sbin/nginx")])?;
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

/// Copies programs from where they are to where the image has them, each library that they are linked to once.
fn programs(layer: &mut Layer, programs: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut needed = BTreeSet::new();
    for (from, to) in programs {
        layer.copy(Path::new(from), to, 0o755)?;
        needed.extend(libraries(Path::new(from))?);
    }
    for library in needed {
        let real = library.canonicalize()?;
        layer.copy(&real, &library.to_string_lossy(), 0o755)?;
    }
    Ok(())
}

/// The shared objects that the dynamic linker loads for a program, the linker itself included.
fn libraries(program: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    let listed = printed(Path::new("ldd"), &program.to_string_lossy())
        .with_context(|| format!("asking for the libraries of {}", program.display()))?;
    let paths = listed.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Ok(paths.map(PathBuf::from).collect())
}

/// What a program prints when it is given one argument.
fn printed(program: &Path, argument: &str) -> anyhow::Result<String> {
    let output = Command::new(program)
        .arg(argument)
        .output()
        .with_context(|| format!("running {}", program.display()))?;
    if !output.status.success() {
        bail!("{} {argument}: {}", program.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
