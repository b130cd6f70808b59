//! Header blocks: name-value lists in one zlib stream for the whole connection, primed with SPDY's dictionary.

use super::{Headers, frame::Error, inflate::Inflate};

/// The words of the dictionary that are kept with their lengths before them (SPDY/3, section 2.6.10.1).
const WORDS: [&str; 65] = [
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
];
/// The rest of the dictionary.
const TAIL: &str = concat!(
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505",
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized",
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable",
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT",
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,",
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
);

/// Headers of one stream a peer may send.
const MAX_HEADERS: u32 = 256;

fn dictionary() -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in WORDS {
        // Words are a few bytes long.
        bytes.extend_from_slice(&u32::try_from(word.len()).unwrap_or_default().to_be_bytes());
        bytes.extend_from_slice(word.as_bytes());
    }
    bytes.extend_from_slice(TAIL.as_bytes());
    bytes
}

/// Writes header blocks. Nothing is compressed: a stream of stored blocks is a zlib stream too, and these headers are
/// a few dozen bytes.
#[derive(Default)]
pub(super) struct Compressor {
    begun: bool,
}

impl Compressor {
    pub(super) fn compress(&mut self, headers: &[(String, String)]) -> Vec<u8> {
        let mut plain = Vec::new();
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        plain.extend_from_slice(&count(headers.len()));
        for (name, value) in headers {
            for text in [name.to_lowercase().as_str(), value] {
                plain.extend_from_slice(&count(text.len()));
                plain.extend_from_slice(text.as_bytes());
            }
        }
        let mut block = Vec::with_capacity(plain.len() + 8);
        if !std::mem::replace(&mut self.begun, true) {
            // Deflate with a window of 32 KiB, no dictionary, fastest; a multiple of 31 as a check.
            block.extend_from_slice(&[0x78, 0x01]);
        }
        for chunk in plain.chunks(usize::from(u16::MAX)) {
            let length = u16::try_from(chunk.len()).unwrap_or(u16::MAX);
            block.push(0);
            block.extend_from_slice(&length.to_le_bytes());
            block.extend_from_slice(&(!length).to_le_bytes());
            block.extend_from_slice(chunk);
        }
        // An empty block, as a flush writes it: readers hold data back until they see one.
        block.extend_from_slice(&[0, 0, 0, 0xff, 0xff]);
        block
    }
}

/// Reads header blocks.
#[derive(Default)]
pub(super) struct Decompressor {
    inflate: Option<Inflate>,
}

impl Decompressor {
    pub(super) fn decompress(&mut self, block: &[u8]) -> Result<Headers, Error> {
        let mut block = block;
        if self.inflate.is_none() {
            let (&[method, flags], rest) =
                block.split_first_chunk::<2>().ok_or(Error::Headers("no zlib header"))?;
            if method & 0x0f != 8 || u16::from_be_bytes([method, flags]) % 31 != 0 {
                return Err(Error::Headers("no zlib header"));
            }
            block = rest;
            let primed = flags & 0x20 != 0;
            if primed {
                // The dictionary's checksum; a wrong one shows soon enough.
                block = block.get(4..).ok_or(Error::Headers("no dictionary"))?;
            }
            self.inflate = Some(Inflate::new(if primed { dictionary() } else { Vec::new() }));
        }
        let inflate = self.inflate.as_mut().ok_or(Error::Headers("no zlib header"))?;
        let plain = inflate.inflate(block).map_err(Error::Headers)?;
        parse(&plain)
    }
}

fn parse(plain: &[u8]) -> Result<Headers, Error> {
    let mut rest = plain;
    let number = |rest: &mut &[u8]| -> Result<u32, Error> {
        let (bytes, after) = rest.split_first_chunk::<4>().ok_or(Error::Short)?;
        *rest = after;
        Ok(u32::from_be_bytes(*bytes))
    };
    let count = number(&mut rest)?;
    if count > MAX_HEADERS {
        return Err(Error::Headers("too many"));
    }
    let mut headers = Headers::new();
    for _ in 0..count {
        let mut text = || -> Result<String, Error> {
            let length = number(&mut rest)? as usize;
            let (bytes, after) = rest.split_at_checked(length).ok_or(Error::Short)?;
            rest = after;
            Ok(String::from_utf8_lossy(bytes).into_owned())
        };
        let (name, value) = (text()?, text()?);
        headers.push((name.to_lowercase(), value));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The checksum with which zlib streams over this dictionary begin.
    #[test]
    fn the_dictionary_is_spdys() {
        let (mut low, mut high) = (1_u32, 0_u32);
        for byte in dictionary() {
            low = (low + u32::from(byte)) % 65_521;
            high = (high + low) % 65_521;
        }
        assert_eq!((high << 16) | low, 0xe3c6_a7c2);
    }

    #[test]
    fn what_is_written_is_read() {
        let (mut compressor, mut decompressor) = (Compressor::default(), Decompressor::default());
        for headers in
            [vec![("StreamType".to_owned(), "stdin".to_owned())], vec![], vec![("a".into(), "b".into())]]
        {
            let block = compressor.compress(&headers);
            let lower: Headers =
                headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
            assert_eq!(decompressor.decompress(&block).unwrap(), lower);
        }
    }

    /// Two blocks as zlib writes them over the dictionary with a sync flush after each (made with Python's zlib).
    #[test]
    fn blocks_of_another_writer_are_read() {
        let blocks = include!("headers/sample.in");
        let mut decompressor = Decompressor::default();
        let read = |block: &[u8], decompressor: &mut Decompressor| decompressor.decompress(block).unwrap();
        let first = read(&blocks.0, &mut decompressor);
        assert_eq!(
            first,
            [("streamtype".to_owned(), "error".to_owned()), ("port".to_owned(), "8080".to_owned())]
        );
        let second = read(&blocks.1, &mut decompressor);
        assert_eq!(
            second,
            [("streamtype".to_owned(), "data".to_owned()), ("port".to_owned(), "8080".to_owned())]
        );
    }
}
