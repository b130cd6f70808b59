//! Messages as bytes: what forwarding needs to know of one that it need not understand.

/// The size of the header.
pub const HEADER: usize = 12;
const OPT: u16 = 41;

/// Returns where the only question of a message ends; none when there is not exactly one, spelt out.
pub fn question_end(message: &[u8]) -> Option<usize> {
    if u16_at(message, 4)? != 1 {
        return None;
    }
    let mut at = HEADER;
    loop {
        match usize::from(*message.get(at)?) {
            0 => break,
            length @ 1..=63 => at += 1 + length,
            _ => return None,
        }
        if at - HEADER > 254 {
            return None;
        }
    }
    let end = at + 5;
    (end <= message.len()).then_some(end)
}

/// Tells whether a message is an answer to this request: same number, same question but for case.
pub fn answers(reply: &[u8], request: &[u8]) -> bool {
    let (Some(end), Some(asked_end)) = (question_end(reply), question_end(request)) else { return false };
    reply[..2] == request[..2]
        && reply[2] & 0x80 != 0
        && end == asked_end
        && reply[HEADER..end - 4].eq_ignore_ascii_case(&request[HEADER..end - 4])
        // Type and class are numbers, even where they look like letters.
        && reply[end - 4..end] == request[end - 4..end]
}

/// Makes a reply to one request the reply to another one with the same question but for case.
pub fn readdress(reply: &mut [u8], request: &[u8]) {
    let Some(end) = question_end(request).filter(|end| *end <= reply.len()) else { return };
    reply[..2].copy_from_slice(&request[..2]);
    reply[HEADER..end].copy_from_slice(&request[HEADER..end]);
}

/// Tells whether a reply was cut short.
pub fn is_truncated(message: &[u8]) -> bool {
    message.get(2).is_some_and(|flags| flags & 0x02 != 0)
}

/// Returns the low bits of the response code.
pub fn response_code(message: &[u8]) -> u8 {
    message.get(3).map_or(0, |flags| flags & 0x0f)
}

/// Cuts a reply down to its question and says so.
pub fn truncate(reply: &mut Vec<u8>) {
    let Some(end) = question_end(reply) else { return };
    reply.truncate(end);
    reply[2] |= 0x02;
    reply[6..HEADER].fill(0);
}

/// Calls `change` with the time to live of each record but OPT, and writes what it returns.
///
/// Returns the number of records seen; none for a message that is not well formed.
pub fn each_ttl(message: &mut [u8], mut change: impl FnMut(u32) -> u32) -> Option<usize> {
    let mut at = question_end(message)?;
    let records = usize::from(u16_at(message, 6)?)
        + usize::from(u16_at(message, 8)?)
        + usize::from(u16_at(message, 10)?);
    let mut seen = 0;
    for _ in 0..records {
        at = name_end(message, at)?;
        let kind = u16_at(message, at)?;
        let ttl: [u8; 4] = message.get(at + 4..at + 8)?.try_into().ok()?;
        if kind != OPT {
            let changed = change(u32::from_be_bytes(ttl));
            message.get_mut(at + 4..at + 8)?.copy_from_slice(&changed.to_be_bytes());
            seen += 1;
        }
        at += 10 + usize::from(u16_at(message, at + 8)?);
    }
    (at <= message.len()).then_some(seen)
}

fn name_end(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*message.get(at)?) {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + length,
            // A pointer ends the name here, wherever it leads.
            0xc0..=0xff => return Some(at + 2),
            _ => return None,
        }
    }
}

fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply with one question, one A record (TTL 300) and an OPT record.
    const REPLY: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\x01\x01a\x02io\0\0\x01\0\x01\
        \xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\x01\x02\x03\x04\0\0\x29\x04\xd0\0\0\0\0\0\0";

    #[test]
    fn ttls_are_found_wherever_they_are() {
        let mut reply = REPLY.to_vec();
        assert_eq!(each_ttl(&mut reply, |ttl| ttl - 100), Some(1));
        let mut ttls = Vec::new();
        each_ttl(&mut reply, |ttl| {
            ttls.push(ttl);
            ttl
        });
        assert_eq!(ttls, [200]);
    }

    #[test]
    fn nothing_cut_short_is_read_beyond_its_end() {
        for length in 0..REPLY.len() {
            let mut cut = REPLY[..length].to_vec();
            assert_eq!(each_ttl(&mut cut, |ttl| ttl), None, "{length}");
            truncate(&mut cut);
            readdress(&mut cut, REPLY);
            answers(&cut, REPLY);
        }
    }

    #[test]
    fn a_reply_answers_only_its_own_request() {
        let mut request = REPLY[..22].to_vec();
        request[13] = b'A';
        assert!(answers(REPLY, &request));
        request[1] = 0;
        assert!(!answers(REPLY, &request), "another number");
        let mut other = REPLY.to_vec();
        other[13] = b'b';
        assert!(!answers(&other, REPLY), "another name");
        let mut query = REPLY.to_vec();
        query[2] &= 0x7f;
        assert!(!answers(&query, REPLY), "no reply");
    }

    #[test]
    fn a_readdressed_reply_has_the_spelling_of_its_request() {
        let mut request = REPLY[..22].to_vec();
        (request[0], request[13]) = (7, b'A');
        let mut reply = REPLY.to_vec();
        readdress(&mut reply, &request);
        assert!(answers(&reply, &request) && reply[13] == b'A');
        truncate(&mut reply);
        assert!(is_truncated(&reply) && reply.len() == 22 && answers(&reply, &request));
    }
}
