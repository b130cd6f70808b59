//! Messages in the frames of gRPC: a byte that says whether it is compressed, four of length, the message.
//!
//! Source: gRPC over HTTP/2, "Length-Prefixed-Message".

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prost::Message;

const PREFIX: usize = 5;
/// A list of everything may be as large as everything, and no message of protobuf is larger than this.
const LONGEST: usize = i32::MAX as usize;
/// How much is set aside for a message that is announced before it comes.
const SET_ASIDE: usize = 16 << 20;

/// A message in its frame.
pub fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(PREFIX + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message.encode_raw(&mut frame);
    frame.freeze()
}

/// Messages out of the pieces that a stream arrives in. One that lies within a piece is not copied.
#[derive(Debug, Default)]
pub struct Unframe {
    /// What is left of the last piece, while there is no message that began before it.
    piece: Bytes,
    /// The beginning of a message whose end has not come.
    begun: BytesMut,
}

impl Unframe {
    /// Takes the next piece. All messages of those before have been taken out.
    pub fn push(&mut self, piece: Bytes) {
        if self.begun.is_empty() && self.piece.is_empty() {
            self.piece = piece;
        } else {
            self.begin();
            self.begun.extend_from_slice(&piece);
        }
    }

    /// Takes out the next message, if it is whole.
    ///
    /// # Errors
    ///
    /// What begins here is no message: it is compressed, or longer than protobuf allows. Nothing can be read behind it.
    pub fn take(&mut self) -> Result<Option<Bytes>, &'static str> {
        let held: &[u8] = if self.begun.is_empty() { &self.piece } else { &self.begun };
        let Some(whole) = announced(held)? else { return Ok(None) };
        if held.len() < whole {
            self.begin();
            self.begun.reserve((whole - self.begun.len()).min(SET_ASIDE));
            return Ok(None);
        }
        let mut message = if self.begun.is_empty() {
            self.piece.split_to(whole)
        } else {
            // What is behind it goes on alone: the room of a large message is not kept for small ones.
            let mut begun = std::mem::take(&mut self.begun);
            let message = begun.split_to(whole);
            self.piece = begun.freeze();
            message.freeze()
        };
        message.advance(PREFIX);
        Ok(Some(message))
    }

    /// Whether a message has begun and not ended.
    pub fn is_within(&self) -> bool {
        !(self.begun.is_empty() && self.piece.is_empty())
    }

    fn begin(&mut self) {
        self.begun.extend_from_slice(&std::mem::take(&mut self.piece));
    }
}

/// How long the frame is that begins here, if that much of it has come.
fn announced(held: &[u8]) -> Result<Option<usize>, &'static str> {
    let Some((prefix, _)) = held.split_first_chunk::<PREFIX>() else { return Ok(None) };
    let [compressed, length @ ..] = *prefix;
    let length = u32::from_be_bytes(length) as usize;
    match (compressed, length) {
        (0, ..=LONGEST) => Ok(Some(PREFIX + length)),
        (0, _) => Err("a message is longer than 2 GiB"),
        _ => Err("a message is compressed, which was not asked for"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(message: &[u8]) -> Vec<u8> {
        let mut frame = vec![0];
        frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
        frame.extend_from_slice(message);
        frame
    }

    #[test]
    fn messages_come_out_whole_however_they_arrive() {
        let messages: [&[u8]; 4] = [b"one", b"", &[7; 300], b"four"];
        let stream = messages.map(frame).concat();
        for size in 1..=stream.len() {
            let (mut unframe, mut got) = (Unframe::default(), Vec::new());
            for piece in stream.chunks(size) {
                unframe.push(Bytes::copy_from_slice(piece));
                while let Some(message) = unframe.take().unwrap() {
                    got.push(message);
                }
            }
            assert_eq!(got, messages, "in pieces of {size}");
            assert!(!unframe.is_within(), "in pieces of {size}");
        }
    }

    #[test]
    fn a_message_within_a_piece_is_not_copied() {
        let piece = Bytes::from([frame(b"one"), frame(b"two")].concat());
        let within = piece.as_ptr_range();
        let mut unframe = Unframe::default();
        unframe.push(piece);
        for _ in 0..2 {
            let message = unframe.take().unwrap().unwrap();
            assert!(within.contains(&message.as_ptr()));
        }
    }

    #[test]
    fn what_cannot_be_a_message_is_refused() {
        for (head, refused) in [
            ([1, 0, 0, 0, 1], "a message is compressed, which was not asked for"),
            ([0, 0x80, 0, 0, 0], "a message is longer than 2 GiB"),
        ] {
            let mut unframe = Unframe::default();
            unframe.push(Bytes::copy_from_slice(&head));
            assert_eq!(unframe.take(), Err(refused));
        }
        let mut unframe = Unframe::default();
        unframe.push(Bytes::from_static(&[0, 0x7f, 0xff, 0xff, 0xff, 1]));
        assert_eq!(unframe.take(), Ok(None));
        assert!(unframe.is_within());
        assert!(unframe.begun.capacity() <= 2 * SET_ASIDE, "an announcement takes no memory");
    }

    #[test]
    fn what_is_framed_is_read() {
        let message = crate::etcd::wire::RangeRequest { key: "a".into(), limit: 7, ..Default::default() };
        let mut unframe = Unframe::default();
        unframe.push(framed(&message));
        let read = unframe.take().unwrap().unwrap();
        assert_eq!(crate::etcd::wire::RangeRequest::decode(read).unwrap(), message);
    }
}
