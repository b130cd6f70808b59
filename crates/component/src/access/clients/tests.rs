//! What the cluster tells of whom to believe, and files that change.

use clap::Parser as _;
use futures::stream;
use pki::{Authority, Leaf};
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use tokio::time::Instant;

use super::*;

fn authority(name: &str) -> Authority {
    Authority::new(name, 1, Timestamp::now()).unwrap()
}

fn jim(authority: &Authority) -> Vec<CertificateDer<'static>> {
    let issued = authority.issue(&Leaf::client("jim", &[]), Timestamp::now()).unwrap();
    vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()]
}

#[derive(clap::Parser)]
struct Flags {
    #[command(flatten)]
    clients: ClientFlags,
}

/// Clients of a cluster whose API server never answers.
fn clients() -> Clients {
    let silent = tower::service_fn(|_: http::Request<kube::client::Body>| {
        std::future::pending::<Result<http::Response<kube::client::Body>, std::io::Error>>()
    });
    let flags = Flags::parse_from(["component"]).clients;
    Clients::new(&flags, Client::new(silent, "default")).unwrap()
}

fn map(pem: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {}, "data": {"client-ca-file": pem}})).unwrap()
}

fn failure() -> watcher::Error {
    watcher::Error::NoResourceVersion
}

async fn knows(clients: &Clients, chain: &[CertificateDer<'_>]) -> bool {
    clients.user(chain, &HeaderMap::new()).await.expect("a certificate is shown").is_ok()
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_for_the_first_answer_are_served_by_it() {
    let (clients, users) = (clients(), authority("users"));
    let (chain, began) = (jim(&users), Instant::now());
    let answer = stream::once(async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(Some(map(users.certificate())))
    });
    let cluster = clients.cluster.as_ref().unwrap();
    let asked = futures::future::join_all((0..50).map(|_| knows(&clients, &chain)));
    let (known, ()) = tokio::join!(asked, cluster.follow(answer));
    assert!(known.iter().all(|known| *known));
    assert_eq!(began.elapsed(), Duration::from_secs(3));
    // Who shows nothing does not wait.
    assert!(clients.user(&[], &HeaderMap::new()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_an_answer_that_does_not_come() {
    let (clients, chain) = (clients(), jim(&authority("users")));
    let began = Instant::now();
    // The API server is silent: patience ends, and nobody is believed.
    let asked = async { futures::future::join(knows(&clients, &chain), knows(&clients, &chain)).await };
    let known = tokio::select! {
        known = asked => known,
        () = clients.follow() => unreachable!("it never ends"),
    };
    assert_eq!((known, began.elapsed()), ((false, false), PATIENCE));
    // It refuses: nobody waits any more.
    let cluster = clients.cluster.as_ref().unwrap();
    cluster.follow(stream::iter([Err(failure())])).await;
    let began = Instant::now();
    assert!(!knows(&clients, &chain).await);
    assert_eq!(began.elapsed(), Duration::ZERO);
    // That is not yet an answer.
    assert!(timeout(PATIENCE, clients.known()).await.is_err());
    cluster.follow(stream::iter([Ok(None)])).await;
    clients.known().await;
}

#[tokio::test]
async fn what_the_cluster_tells_last_counts_and_failures_change_nothing() {
    let (clients, old, new) = (clients(), authority("old"), authority("new"));
    let (by_old, by_new) = (jim(&old), jim(&new));
    let cluster = clients.cluster.as_ref().unwrap();
    for (found, expected) in [
        (Err(failure()), (false, false)),
        (Ok(None), (false, false)),
        (Ok(Some(map(old.certificate()))), (true, false)),
        (Err(failure()), (true, false)),
        (Ok(Some(map("nonsense"))), (true, false)),
        (Ok(Some(map(new.certificate()))), (false, true)),
        // Without the map nobody is vouched for any more.
        (Ok(None), (false, false)),
    ] {
        cluster.follow(stream::iter([found])).await;
        assert_eq!((knows(&clients, &by_old).await, knows(&clients, &by_new).await), expected);
    }
}

#[test]
fn a_file_is_read_again_when_it_has_changed() {
    let path = std::env::temp_dir().join(format!("client-authorities-{}", std::process::id()));
    let (old, new) = (authority("old"), authority("new"));
    fs::write(&path, old.certificate()).unwrap();
    let bundle = Bundle::load(&path).unwrap();
    let vouches = |authority: &Authority| {
        bundle.look();
        bundle.authority.verify(&jim(authority), Timestamp::now()).is_ok()
    };
    assert!(vouches(&old) && !vouches(&new));
    let write = |text: &str, seconds: u64| {
        fs::write(&path, text).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(seconds)).unwrap();
    };
    write("broken", 10);
    assert!(vouches(&old));
    write(new.certificate(), 20);
    assert!(vouches(&new) && !vouches(&old));
    fs::remove_file(&path).unwrap();
    assert!(vouches(&new));
}
