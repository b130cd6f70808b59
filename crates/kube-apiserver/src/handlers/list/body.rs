//! A list as it goes out: what is cached, between what makes a list of it.

use std::convert::Infallible;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use storage::{Encoded, Object};

/// The objects of a list, each in the form in which it is sent.
pub enum Items {
    /// JSON that the cache holds.
    Cached(Vec<Arc<Object>>),
    /// Fields of a list's message in protobuf that the objects hold.
    Kept(Vec<Arc<Encoded>>),
    /// What was made for this list: JSON, or fields of a message.
    Made(Vec<Bytes>),
}

impl Items {
    fn len(&self) -> usize {
        match self {
            Self::Cached(items) => items.len(),
            Self::Kept(items) => items.len(),
            Self::Made(items) => items.len(),
        }
    }

    fn get(&self, index: usize) -> &[u8] {
        match self {
            Self::Cached(items) => items[index].as_bytes(),
            Self::Kept(items) => &items[index].frame[items[index].item.clone()],
            Self::Made(items) => &items[index],
        }
    }

    /// Bytes of all of them.
    pub fn size(&self) -> usize {
        (0..self.len()).map(|index| self.get(index).len()).sum()
    }
}

/// A list whose bytes are where they were before: nothing is copied until it is encrypted or sent.
///
/// Its parts are the opening, then for each item what stands before it and itself, then the closing. Any but the first may
/// be empty.
pub struct List {
    head: Bytes,
    items: Items,
    separator: &'static [u8],
    closing: &'static [u8],
    /// The part that is next, never an empty one, and how much of it is gone.
    part: usize,
    gone: usize,
    left: usize,
}

impl List {
    /// A list in JSON behind its opening, which ends within the array of items.
    pub fn json(head: Bytes, items: Items) -> Self {
        Self::of(head, items, b",", b"]}\n")
    }

    /// A list in protobuf behind its opening; its items are fields with their numbers and lengths.
    pub fn protobuf(head: Bytes, items: Items) -> Self {
        Self::of(head, items, b"", wire::CLOSING)
    }

    fn of(head: Bytes, items: Items, separator: &'static [u8], closing: &'static [u8]) -> Self {
        let separators = items.len().saturating_sub(1) * separator.len();
        let left = head.len() + items.size() + separators + closing.len();
        let mut list = Self { head, items, separator, closing, part: 0, gone: 0, left };
        list.advance(0);
        list
    }

    fn part(&self, part: usize) -> Option<&[u8]> {
        let last = 2 * self.items.len() + 1;
        Some(match part {
            0 => &self.head,
            1 if last > 1 => b"",
            part if part < last && part % 2 == 1 => self.separator,
            part if part < last => self.items.get(part / 2 - 1),
            part if part == last => self.closing,
            _ => return None,
        })
    }
}

impl Buf for List {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        self.part(self.part).map_or(&[], |part| &part[self.gone..])
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let (mut filled, mut part, mut gone) = (0, self.part, self.gone);
        while filled < slices.len()
            && let Some(bytes) = self.part(part)
        {
            if !bytes.is_empty() {
                slices[filled] = IoSlice::new(&bytes[gone..]);
                filled += 1;
            }
            (part, gone) = (part + 1, 0);
        }
        filled
    }

    /// # Panics
    /// Beyond the end, as the trait has it.
    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.left, "{count} bytes of a list of which {} are left", self.left);
        self.left -= count;
        while let Some(part) = self.part(self.part) {
            let rest = part.len() - self.gone;
            if count < rest {
                self.gone += count;
                return;
            }
            count -= rest;
            (self.part, self.gone) = (self.part + 1, 0);
        }
    }
}

/// A list that is put together piece by piece while it is sent: HTTP/2 takes no buffer of two GiB.
pub struct Pieces(pub List);

const PIECE: usize = 64 * 1024;

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let list = &mut self.get_mut().0;
        let length = list.remaining().min(PIECE);
        Poll::Ready((length > 0).then(|| Ok(Frame::data(list.copy_to_bytes(length)))))
    }

    fn is_end_stream(&self) -> bool {
        !self.0.has_remaining()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.remaining() as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::BodyExt as _;
    use serde_json::Value;

    use super::*;

    fn numbers(count: usize) -> Items {
        Items::Made((0..count).map(|n| Bytes::from(format!("{{\"n\":{n}}}"))).collect())
    }

    fn json_of(count: usize) -> List {
        List::json(Bytes::from_static(b"{\"items\":["), numbers(count))
    }

    fn whole(mut list: List) -> Bytes {
        list.copy_to_bytes(list.remaining())
    }

    #[test]
    fn json_has_as_many_items_as_there_are() {
        for count in [0, 1, 2, 5000] {
            let list = json_of(count);
            let length = list.remaining();
            let bytes = whole(list);
            let items = serde_json::from_slice::<Value>(&bytes).unwrap()["items"].take();
            assert_eq!((items.as_array().unwrap().len(), bytes.len()), (count, length));
        }
    }

    #[test]
    fn protobuf_has_nothing_between_its_items() {
        let items = || Items::Made(vec![Bytes::from_static(b"12"), Bytes::new(), Bytes::from_static(b"3")]);
        let bytes = whole(List::protobuf(Bytes::from_static(b"k8s"), items()));
        assert_eq!(bytes, [b"k8s123", wire::CLOSING].concat());
        let bytes = whole(List::protobuf(Bytes::new(), items()));
        assert_eq!(bytes, [b"123", wire::CLOSING].concat());
    }

    #[test]
    fn steps_of_any_size_give_the_same_bytes() {
        let expected = whole(json_of(20));
        for step in 1..expected.len() + 1 {
            let (mut list, mut read) = (json_of(20), Vec::new());
            while list.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 7];
                let filled = list.chunks_vectored(&mut slices);
                let ahead: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
                assert!(expected[read.len()..].starts_with(&ahead) && ahead.starts_with(list.chunk()));
                assert!(slices[..filled].iter().all(|slice| !slice.is_empty()));
                let count = step.min(ahead.len());
                read.extend_from_slice(&ahead[..count]);
                list.advance(count);
                assert_eq!(list.remaining(), expected.len() - read.len());
            }
            assert_eq!(read, expected, "in steps of {step}");
            assert_eq!((list.chunk(), list.chunks_vectored(&mut [IoSlice::new(&[])])), (&[][..], 0));
        }
    }

    #[tokio::test]
    async fn pieces_are_the_list() {
        let expected = whole(json_of(20_000));
        let (mut pieces, mut read) = (Pieces(json_of(20_000)), Vec::new());
        while let Some(frame) = pieces.frame().await {
            read.extend_from_slice(&frame.unwrap().into_data().unwrap());
            assert_eq!(pieces.size_hint().exact(), Some((expected.len() - read.len()) as u64));
        }
        assert!(read == expected && pieces.is_end_stream());
    }

    #[test]
    #[should_panic(expected = "2 bytes of a list of which 1 are left")]
    fn nothing_is_beyond_the_end() {
        let mut list = json_of(3);
        list.advance(list.remaining() - 1);
        list.advance(2);
    }
}
