//! Frames on the wire.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The largest frame taken. Peers send at most 32 KiB of data; a header block is far smaller.
const MAX_FRAME: usize = 1 << 20;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const FIN: u8 = 1;

/// Why a stream is reset: it was not taken up, and may be asked for again.
const REFUSED_STREAM: u32 = 3;

/// A frame that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    SynStream { id: u32, last: bool, block: Bytes },
    SynReply { id: u32, last: bool, block: Bytes },
    Headers { block: Bytes },
    Data { id: u32, last: bool, data: Bytes },
    Reset { id: u32 },
    Ping { id: u32 },
    GoAway,
    Other,
}

/// A connection that cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("reading a frame")]
    Io(#[from] io::Error),
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    #[error("a frame is cut short")]
    Short,
    #[error("a header block cannot be read: {0}")]
    Headers(&'static str),
}

/// Reads a frame; none at the end of the connection.
pub(super) async fn read<R: AsyncRead + Unpin>(reader: &mut R) -> Result<Option<Frame>, Error> {
    let mut head = [0; 8];
    match reader.read_exact(&mut head).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let [a, b, c, d, flags, l0, l1, l2] = head;
    let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
    if length > MAX_FRAME {
        return Err(Error::TooLong(length));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await?;
    let body = Bytes::from(body);
    let last = flags & FIN != 0;
    if a & 0x80 == 0 {
        return Ok(Some(Frame::Data { id: u32::from_be_bytes([a, b, c, d]), last, data: body }));
    }
    let id = || {
        let bytes: [u8; 4] = body.get(..4).and_then(|bytes| bytes.try_into().ok()).ok_or(Error::Short)?;
        Ok::<u32, Error>(u32::from_be_bytes(bytes) & 0x7fff_ffff)
    };
    let from = |at: usize| if body.len() >= at { Ok(body.slice(at..)) } else { Err(Error::Short) };
    Ok(Some(match u16::from_be_bytes([c, d]) {
        SYN_STREAM => Frame::SynStream { id: id()?, last, block: from(10)? },
        SYN_REPLY => Frame::SynReply { id: id()?, last, block: from(4)? },
        RST_STREAM => Frame::Reset { id: id()? },
        PING => {
            let bytes: [u8; 4] = body.get(..4).and_then(|bytes| bytes.try_into().ok()).ok_or(Error::Short)?;
            Frame::Ping { id: u32::from_be_bytes(bytes) }
        }
        GOAWAY => Frame::GoAway,
        HEADERS => Frame::Headers { block: from(4)? },
        _ => Frame::Other,
    }))
}

fn control(kind: u16, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(8 + length);
    bytes.extend_from_slice(&[0x80, 3]);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.push(0);
    push_length(&mut bytes, length);
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

fn push_length(bytes: &mut Vec<u8>, length: usize) {
    // Own frames are far below 16 MiB.
    let [_, high, middle, low] = u32::try_from(length).unwrap_or_default().to_be_bytes();
    bytes.extend_from_slice(&[high, middle, low]);
}

pub(super) fn syn_stream(id: u32, block: &[u8]) -> Vec<u8> {
    control(SYN_STREAM, &[&id.to_be_bytes(), &[0; 6], block])
}

pub(super) fn syn_reply(id: u32, block: &[u8]) -> Vec<u8> {
    control(SYN_REPLY, &[&id.to_be_bytes(), block])
}

pub(super) fn refuse(id: u32) -> Vec<u8> {
    control(RST_STREAM, &[&id.to_be_bytes(), &REFUSED_STREAM.to_be_bytes()])
}

pub(super) fn ping(id: u32) -> Vec<u8> {
    control(PING, &[&id.to_be_bytes()])
}

pub(super) fn go_away() -> Vec<u8> {
    control(GOAWAY, &[&[0; 8]])
}

pub(super) fn data(id: u32, data: &[u8], last: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + data.len());
    bytes.extend_from_slice(&(id & 0x7fff_ffff).to_be_bytes());
    bytes.push(if last { FIN } else { 0 });
    push_length(&mut bytes, data.len());
    bytes.extend_from_slice(data);
    bytes
}
