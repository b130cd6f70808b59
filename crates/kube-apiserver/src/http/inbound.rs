//! The body of a request. What nobody reads is read and thrown away before the answer, so that the connection can go on.
//!
//! Many refusals are made before a body is read. Over HTTP/1.1 hyper then ends the connection without having said that
//! it would, and a client whose next request is already on its way has to tell its user so. As Go's server does, a
//! short rest is read; behind a long one the answer says that the connection ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use parking_lot::Mutex;

/// The longest rest that is read, as Go's.
const LONGEST: u64 = 256 * 1024;
/// A client that takes longer to send it is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request's body on its way to who reads it.
pub struct Inbound {
    /// Taken when this is dropped.
    body: Option<Incoming>,
    /// Where an unread rest goes.
    rest: Option<Rest>,
}

/// What was not read of a body.
#[derive(Clone, Default)]
pub struct Rest(Arc<Mutex<Option<Incoming>>>);

impl Inbound {
    /// A body of which nobody needs the rest: in HTTP/2 it ends by itself.
    pub fn new(body: Incoming) -> Self {
        Self { body: Some(body), rest: None }
    }

    /// A body, and where its rest will be; none where there is no body.
    pub fn with_rest(body: Incoming) -> (Self, Option<Rest>) {
        let rest = (!body.is_end_stream()).then(Rest::default);
        (Self { body: Some(body), rest: rest.clone() }, rest)
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        if let (Some(rest), Some(body)) = (&self.rest, self.body.take())
            && !body.is_end_stream()
        {
            *rest.0.lock() = Some(body);
        }
    }
}

impl Rest {
    /// Reads the rest; false when it is too long for that.
    pub async fn discard(self) -> bool {
        let Some(mut body) = self.0.lock().take() else { return true };
        if body.size_hint().lower() > LONGEST {
            return false;
        }
        let mut left = LONGEST;
        let read = async {
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return false };
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                match left.checked_sub(length) {
                    Some(rest) => left = rest,
                    None => return false,
                }
            }
            true
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap_or(false)
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}
