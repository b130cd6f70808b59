//! What a connection writes while it is polled goes out together when the poll ends.
//!
//! HTTP/2 flushes after each frame that it does not copy, and TLS makes of each flush a record and a system call. A
//! connection that a hundred watches share would make a hundred of both for one event, and one that a hundred calls go
//! over as many. Here small writes fill records, and records wait until whoever polls the connection is done, or until
//! there are [`rustls`]'s 64 KiB of them.

use std::{
    future::poll_fn,
    io::{self, IoSlice, Write as _},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{client, server};

/// What a record holds at most (RFC 8446, 5.1).
const RECORD: usize = 16 << 10;
/// What is cheaper to copy than to send in a record of its own.
const SMALL: usize = 4 << 10;

/// A stream below a [`Gathering`].
pub trait Below: AsyncRead + AsyncWrite + Unpin {
    /// Takes as much as it can. Where it is secured, what it takes is sealed now, and sent with the next flush.
    fn poll_take(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;
}

impl Below for TcpStream {
    fn poll_take(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(self).poll_write_vectored(cx, pieces)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Below for server::TlsStream<S> {
    fn poll_take(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        poll_seal(self, cx, pieces, |stream| stream.get_mut().1.writer().write_vectored(pieces))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Below for client::TlsStream<S> {
    fn poll_take(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        poll_seal(self, cx, pieces, |stream| stream.get_mut().1.writer().write_vectored(pieces))
    }
}

impl<B: Below + ?Sized> Below for Box<B> {
    fn poll_take(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        (**self).poll_take(cx, pieces)
    }
}

/// Makes records of what is given, as much as fits; sends those before it where nothing does.
fn poll_seal<S: AsyncWrite + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    pieces: &[IoSlice<'_>],
    seal: impl Fn(&mut S) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    let taken = seal(stream)?;
    if taken > 0 || pieces.iter().all(|piece| piece.is_empty()) {
        return Poll::Ready(Ok(taken));
    }
    ready!(Pin::new(&mut *stream).poll_flush(cx))?;
    // None at all: nothing may be said any more.
    Poll::Ready(seal(stream))
}

/// A stream that is spoken on by a future which [`Gathering::drive`] polls.
///
/// Outside of that, as after an upgrade, it writes at once.
pub struct Gathering<S>(Arc<Mutex<State<S>>>);

struct State<S> {
    stream: S,
    /// Whether the stream's user is being polled.
    polled: bool,
    /// Small writes that the stream has not taken yet.
    small: Vec<u8>,
    /// Why what was gathered could not go out, for whoever writes next.
    failed: Option<io::Error>,
}

impl<S> Clone for Gathering<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Below> Gathering<S> {
    /// Takes a stream whose handshake is over.
    pub fn new(stream: S) -> Self {
        Self(Arc::new(Mutex::new(State { stream, polled: false, small: Vec::new(), failed: None })))
    }

    /// Polls what speaks on a clone of this stream until it ends, and sends what each poll has written. What the last one
    /// wrote may be left: [`Gathering::send`] sends it.
    ///
    /// Whoever has something to write wakes it, and what is woken runs next on tokio's scheduler: it would be polled for
    /// each of many. So it lets go first who is ready already.
    pub async fn drive<F: Future>(&self, mut speaking: Pin<&mut F>) -> F::Output {
        let mut is_last = true;
        poll_fn(|cx| {
            is_last = !is_last;
            if !is_last {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
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

impl<S: Below> State<S> {
    /// Has the stream take the small writes.
    fn poll_take_small(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut small = std::mem::take(&mut self.small);
        while !small.is_empty() {
            match self.stream.poll_take(cx, &[IoSlice::new(&small)]) {
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
        ready!(self.poll_take_small(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        let length = pieces.iter().map(|piece| piece.len()).sum();
        if self.polled && length <= SMALL {
            if self.small.len() + length > RECORD {
                ready!(self.poll_take_small(cx))?;
            }
            // What is small is seldom alone: room for some at once, instead of growing with each.
            if self.small.capacity() == 0 {
                self.small.reserve(SMALL);
            }
            for piece in pieces {
                self.small.extend_from_slice(piece);
            }
            return Poll::Ready(Ok(length));
        }
        ready!(self.poll_take_small(cx))?;
        if self.polled {
            return self.stream.poll_take(cx, pieces);
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }
}

impl<S: Below> AsyncRead for Gathering<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().stream).poll_read(cx, buffer)
    }
}

impl<S: Below> AsyncWrite for Gathering<S> {
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
        ready!(state.poll_take_small(cx))?;
        Pin::new(&mut state.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
