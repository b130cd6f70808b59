//! The bodies of responses: whole, put together while they are sent, or open-ended.

use std::convert::Infallible;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

/// What can fail while a body is sent; the client sees a broken response.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A piece of a body.
pub enum Piece {
    /// Bytes in one place.
    Bytes(Bytes),
    /// Bytes in many places.
    Buffer(Box<dyn Buf + Send>),
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.remaining(),
            Self::Buffer(buffer) => buffer.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes.chunk(),
            Self::Buffer(buffer) => buffer.chunk(),
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.chunks_vectored(slices),
            Self::Buffer(buffer) => buffer.chunks_vectored(slices),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Bytes(bytes) => bytes.advance(count),
            Self::Buffer(buffer) => buffer.advance(count),
        }
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes.copy_to_bytes(count),
            Self::Buffer(buffer) => buffer.copy_to_bytes(count),
        }
    }
}

/// A response's body.
pub enum Body {
    /// What is there; `None` once it is sent.
    Whole(Option<Piece>),
    /// Made piece by piece.
    Stream(Pin<Box<dyn http_body::Body<Data = Piece, Error = BodyError> + Send>>),
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self::Whole(None)
    }

    /// A body of bytes that are there.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(Piece::Bytes(bytes.into())))
    }

    /// A body of bytes that are there, in many places.
    pub fn buffer(buffer: impl Buf + Send + 'static) -> Self {
        Self::Whole(Some(Piece::Buffer(Box::new(buffer))))
    }

    /// A body that is made piece by piece.
    pub fn stream<B>(body: B) -> Self
    where
        B: http_body::Body<Data: Into<Piece>> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        Self::Stream(Box::pin(body.map_frame(|frame| frame.map_data(Into::into)).map_err(Into::into)))
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
    type Data = Piece;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, BodyError>>> {
        match self.get_mut() {
            Self::Whole(piece) => {
                let piece = piece.take().filter(Buf::has_remaining);
                Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
            }
            Self::Stream(body) => body.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(piece) => piece.as_ref().is_none_or(|piece| !piece.has_remaining()),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(piece) => {
                SizeHint::with_exact(piece.as_ref().map_or(0, |piece| piece.remaining() as u64))
            }
            Self::Stream(body) => body.size_hint(),
        }
    }
}
