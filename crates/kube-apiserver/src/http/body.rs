//! The bodies of responses: whole, put together while they are sent, or open-ended.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

/// What can fail while a body is sent; the client sees a broken response.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A response's body.
pub enum Body {
    /// Bytes that are there; `None` once they are sent.
    Whole(Option<Bytes>),
    /// Made piece by piece.
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = BodyError> + Send>>),
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self::Whole(None)
    }

    /// A body of bytes that are there.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }

    /// A body that is made piece by piece.
    pub fn stream<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        Self::Stream(Box::pin(body.map_err(Into::into)))
    }

    /// The bytes, where they are there as a whole.
    pub fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(bytes) => bytes.as_ref(),
            Self::Stream(_) => None,
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("size", &http_body::Body::size_hint(self)).finish()
    }
}

impl From<Infallible> for Body {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(
                bytes.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))),
            ),
            Self::Stream(body) => body.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(|bytes| bytes.is_empty()),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(body) => body.size_hint(),
        }
    }
}
