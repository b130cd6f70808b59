//! What a connection writes while it is polled goes out together when the poll ends.
//!
//! HTTP/2 flushes after each frame that it does not copy, and TLS makes of each flush a record and a system call. A
//! connection that a hundred watches share would make a hundred of both for one event. Here small writes fill records,
//! and records wait until whoever polls the connection is done, or until there are [`rustls`]'s 64 KiB of them.

use std::{
    future::poll_fn,
    io::{self, IoSlice, Write as _},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// What a record holds at most (RFC 8446, 5.1).
const RECORD: usize = 16 << 10;
/// What is cheaper to copy than to send in a record of its own.
const SMALL: usize = 4 << 10;

/// A secured stream that is spoken on by a future which [`Gathering::drive`] polls.
///
/// Outside of that, as after an upgrade, it writes at once.
pub struct Gathering<S>(Arc<Mutex<State<S>>>);

struct State<S> {
    stream: TlsStream<S>,
    /// Whether the stream's user is being polled.
    polled: bool,
    /// Small writes that have no record yet.
    small: Vec<u8>,
    /// Why what was gathered could not go out, for whoever writes next.
    failed: Option<io::Error>,
}

impl<S> Clone for Gathering<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Gathering<S> {
    /// Takes a stream whose handshake is over.
    pub fn new(stream: TlsStream<S>) -> Self {
        Self(Arc::new(Mutex::new(State { stream, polled: false, small: Vec::new(), failed: None })))
    }

    /// Polls what speaks on a clone of this stream until it ends, and sends what each poll has written. What the last one
    /// wrote may be left: [`Gathering::send`] sends it.
    pub async fn drive<F: Future>(&self, mut speaking: Pin<&mut F>) -> F::Output {
        poll_fn(|cx| {
            self.0.lock().polled = true;
            let outcome = speaking.as_mut().poll(cx);
            let mut state = self.0.lock();
            state.polled = false;
            if let Poll::Ready(Err(error)) = state.poll_send(cx) {
                state.failed = Some(error);
                // It has to be told, and would otherwise wait for the other side.
                cx.waker().wake_by_ref();
            }
            outcome
        })
        .await
    }

    /// Sends all that was written.
    ///
    /// # Errors
    ///
    /// The stream's.
    pub async fn send(&self) -> io::Result<()> {
        poll_fn(|cx| self.0.lock().poll_send(cx)).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> State<S> {
    /// Makes records of what is given, as much as fits; sends those before it where nothing does.
    fn poll_seal(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let taken = self.stream.get_mut().1.writer().write_vectored(pieces)?;
        if taken > 0 || pieces.iter().all(|piece| piece.is_empty()) {
            return Poll::Ready(Ok(taken));
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        // None at all: nothing may be said any more.
        Poll::Ready(self.stream.get_mut().1.writer().write_vectored(pieces))
    }

    /// Makes records of the small writes.
    fn poll_seal_small(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut small = std::mem::take(&mut self.small);
        while !small.is_empty() {
            match self.poll_seal(cx, &[IoSlice::new(&small)]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(taken)) => drop(small.drain(..taken)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.small = small;
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends all that was written.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_seal_small(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        let length = pieces.iter().map(|piece| piece.len()).sum();
        if self.polled && length <= SMALL {
            if self.small.len() + length > RECORD {
                ready!(self.poll_seal_small(cx))?;
            }
            for piece in pieces {
                self.small.extend_from_slice(piece);
            }
            return Poll::Ready(Ok(length));
        }
        ready!(self.poll_seal_small(cx))?;
        if self.polled {
            return self.poll_seal(cx, pieces);
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gathering<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gathering<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, piece: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().poll_write(cx, &[IoSlice::new(piece)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().poll_write(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        match state.failed.take() {
            Some(error) => Poll::Ready(Err(error)),
            None if state.polled => Poll::Ready(Ok(())),
            None => state.poll_send(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        ready!(state.poll_seal_small(cx))?;
        Pin::new(&mut state.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
