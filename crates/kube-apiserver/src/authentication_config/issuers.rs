//! Other issuers while the server runs: their keys are fetched when a token needs them and now and then, and the file that
//! names them is read again when it changes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use authn::jwt::{JwtIssuer, KeySet, Verdict};
use authn::{Found, Known, Outside};
use jiff::Timestamp;
use tokio::sync::Mutex;

use super::fetch::Fetcher;

/// A token that was found good is believed for this many seconds before its signature is looked at again, as upstream.
const REMEMBER: i64 = 10;
/// How often an issuer is asked for its keys because of a token whose key is not known.
const PAUSE: Duration = Duration::from_secs(10);
/// How old keys may get: withdrawn ones are to be forgotten.
const AGE: Duration = Duration::from_secs(3600);
/// How often the file is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The issuers whose tokens are believed, shared by all requests.
pub struct Issuers {
    current: ArcSwap<Vec<Arc<Remote>>>,
    /// The server's own issuers, which others may not be.
    own: Vec<String>,
    known: Known<(Found, i64)>,
}

/// An issuer and how its documents are fetched.
struct Remote {
    issuer: JwtIssuer,
    fetcher: Fetcher,
    /// Held while the keys are fetched, so that requests that need them together ask once.
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    /// When it was last asked, and when it last answered.
    last: Option<Instant>,
    answered: Option<Instant>,
    /// Where the keys are; known from the discovery document.
    keys_at: Option<String>,
}

impl Issuers {
    pub(super) fn new(issuers: Vec<JwtIssuer>, own: Vec<String>) -> anyhow::Result<Arc<Self>> {
        let current = remotes(issuers)?;
        Ok(Arc::new(Self { current: ArcSwap::from_pointee(current), own, known: Known::new(REMEMBER) }))
    }

    /// Asks for the keys of those that have none, and of those whose keys are old.
    async fn refresh(&self) {
        let remotes = self.current.load_full();
        futures::future::join_all(remotes.iter().map(|remote| remote.refresh())).await;
    }

    /// Believes other issuers from now on. Those that stay what they were keep their keys.
    async fn replace(&self, issuers: Vec<JwtIssuer>) -> anyhow::Result<()> {
        let mut next = remotes(issuers)?;
        let before = self.current.load_full();
        for remote in &mut next {
            if let Some(same) = before.iter().find(|known| known.issuer.section() == remote.issuer.section())
            {
                *remote = same.clone();
            }
        }
        // A token of a new issuer finds it ready, where its server answers.
        futures::future::join_all(next.iter().map(|remote| remote.refresh())).await;
        self.current.store(Arc::new(next));
        Ok(())
    }
}

fn remotes(issuers: Vec<JwtIssuer>) -> anyhow::Result<Vec<Arc<Remote>>> {
    let remote = |issuer: JwtIssuer| {
        let fetcher = Fetcher::new(&issuer.section().issuer.certificate_authority)?;
        Ok(Arc::new(Remote { issuer, fetcher, asked: Mutex::default() }))
    };
    issuers.into_iter().map(remote).collect()
}

impl Remote {
    async fn refresh(&self) {
        let mut asked = self.asked.lock().await;
        let is_young = asked.answered.is_some_and(|at| at.elapsed() < AGE);
        if !is_young && asked.last.is_none_or(|at| at.elapsed() >= PAUSE) {
            self.ask(&mut asked).await;
        }
    }

    /// Fetches the keys for a token that needs others than `had`; says whether there are others now.
    async fn fetch_again(&self, had: Option<&Arc<KeySet>>) -> bool {
        let mut asked = self.asked.lock().await;
        let changed = |now: Option<Arc<KeySet>>| match (&now, had) {
            (Some(now), Some(had)) => !Arc::ptr_eq(now, had),
            (now, _) => now.is_some(),
        };
        if changed(self.issuer.keys()) {
            return true;
        }
        if asked.last.is_some_and(|at| at.elapsed() < PAUSE) {
            return false;
        }
        self.ask(&mut asked).await;
        changed(self.issuer.keys())
    }

    async fn ask(&self, asked: &mut Asked) {
        asked.last = Some(Instant::now());
        match self.documents(asked).await {
            Ok(keys) => {
                asked.answered = Some(Instant::now());
                self.issuer.learn(Arc::new(keys));
            }
            Err(error) => {
                // Its keys may have moved.
                asked.keys_at = None;
                let issuer = &self.issuer.section().issuer.url;
                tracing::warn!(issuer, error = format!("{error:#}"), "cannot fetch an issuer's keys");
            }
        }
    }

    async fn documents(&self, asked: &mut Asked) -> anyhow::Result<KeySet> {
        let url = match &asked.keys_at {
            Some(url) => url.clone(),
            None => {
                let document = self.fetcher.get(&self.issuer.discovery_url()).await?;
                let url = self.issuer.read_discovery(&document).map_err(anyhow::Error::msg)?;
                asked.keys_at.insert(url).clone()
            }
        };
        Ok(KeySet::read(&self.fetcher.get(&url).await?)?)
    }

    async fn identify(&self, token: &str, now: Timestamp) -> Verdict {
        let had = self.issuer.keys();
        match self.issuer.verify(token, now) {
            Verdict::NeedsKeys if self.fetch_again(had.as_ref()).await => self.issuer.verify(token, now),
            verdict => verdict,
        }
    }
}

impl Outside for Issuers {
    fn identify<'a>(&'a self, token: &'a str, _: &'a [String], now: Timestamp) -> authn::Answer<'a> {
        Box::pin(async move {
            if let Some((found, expires)) = self.known.get(token, &[], now)
                && now.as_second() <= expires
            {
                return Ok(Some(found));
            }
            for remote in self.current.load_full().iter() {
                match remote.identify(token, now).await {
                    Verdict::Foreign => {}
                    Verdict::User(user, expires) => {
                        let found = Found::new(*user, None);
                        self.known.put(token, &[], (found.clone(), expires), now);
                        return Ok(Some(found));
                    }
                    Verdict::Refused(why) => return Err(why),
                    Verdict::NeedsKeys if remote.issuer.keys().is_none() => {
                        return Err("oidc: authenticator not initialized".to_owned());
                    }
                    Verdict::NeedsKeys => {
                        let why = "failed to verify signature: failed to verify id token signature";
                        return Err(format!("oidc: verify token: {why}"));
                    }
                }
            }
            Ok(None)
        })
    }
}

/// Keeps the issuers' keys, and follows the file that names them, where it is a file that does. A wrong file changes
/// nothing.
pub async fn follow(issuers: Arc<Issuers>, path: Option<PathBuf>) {
    let read = |path: &PathBuf| std::fs::read_to_string(path).ok();
    let mut known = path.as_ref().and_then(read);
    loop {
        issuers.refresh().await;
        tokio::time::sleep(LOOK_AGAIN).await;
        let Some(path) = &path else { continue };
        let text = read(path);
        if text.is_none() || text == known {
            continue;
        }
        let replaced = match super::read_file(path, &issuers.own) {
            Ok(read) => {
                known = Some(read.text);
                issuers.replace(read.issuers).await
            }
            Err(error) => {
                known = text;
                Err(error)
            }
        };
        match replaced {
            Ok(()) => {
                issuers.known.clear();
                tracing::info!(path = %path.display(), "read the authentication configuration again");
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(path = %path.display(), error, "kept the old authentication configuration");
            }
        }
    }
}
