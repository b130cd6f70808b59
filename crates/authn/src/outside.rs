//! Tokens that somebody elsewhere has to be asked about, and how long an answer is remembered.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use peers::user::UserInfo;
use ring::digest;

use crate::cache::Generations;

/// What was found out about a token.
#[derive(Debug, Clone)]
pub struct Found {
    /// Whom it stands for.
    pub user: Arc<UserInfo>,
    /// Those of the audiences asked about that it is for; `None` where the answer says nothing of audiences.
    pub audiences: Option<Vec<String>>,
}

impl Found {
    /// A user, who is in the group of the authenticated from now on.
    pub fn new(user: UserInfo, audiences: Option<Vec<String>>) -> Self {
        Self { user: Arc::new(user.authenticated()), audiences }
    }
}

/// The answer about a token: nothing is known of it, or why it is refused.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Option<Found>, String>> + Send + 'a>>;

/// Somebody elsewhere who knows of tokens. The reasons of refusals never hold the token.
pub trait Outside: Send + Sync {
    /// Asks about a token that is shown to `audiences`.
    fn identify<'a>(&'a self, token: &'a str, audiences: &'a [String], now: Timestamp) -> Answer<'a>;
}

type Digest = [u8; digest::SHA256_OUTPUT_LEN];

/// Answers that are remembered for a while by the token's digest. They are few and small: at most 8,192 are held.
pub struct Known<V> {
    answers: Mutex<Generations<Digest, V>>,
}

/// At most twice as many are held.
const CAPACITY: usize = 4096;

impl<V: Clone> Known<V> {
    /// Remembers answers for half to the whole of this many seconds.
    pub fn new(seconds: i64) -> Self {
        Self { answers: Mutex::new(Generations::new((seconds / 2).max(1), CAPACITY)) }
    }

    /// The answer about a token as it was asked about for these audiences.
    pub fn get(&self, token: &str, audiences: &[String], now: Timestamp) -> Option<V> {
        self.answers.lock().get(&key(token, audiences), now)
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.answers.lock().clear();
    }

    /// Remembers an answer.
    pub fn put(&self, token: &str, audiences: &[String], answer: V, now: Timestamp) {
        self.answers.lock().insert(key(token, audiences), answer, now);
    }
}

fn key(token: &str, audiences: &[String]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in audiences.iter().map(String::as_str).chain([token]) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut key = Digest::default();
    key.copy_from_slice(context.finish().as_ref());
    key
}
