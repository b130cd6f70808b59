//! Requests read and answers written, within the size that the asker can take.

use hickory_proto::ProtoError;
use hickory_proto::op::{
    DEFAULT_MAX_PAYLOAD_LEN, Edns, Header, Message, MessageType, Metadata, OpCode, Query, ResponseCode,
};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder};

use crate::answer::Answer;
use crate::wire;

/// An OPT record without options.
const OPT: u16 = 11;
/// Records that a request may carry behind its question: OPT and a signature.
const ADDITIONALS: u16 = 2;

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In one packet.
    Udp,
    /// On a connection.
    Tcp,
}

/// A request that can be answered.
#[derive(Debug, Clone)]
pub struct Request {
    metadata: Metadata,
    /// What is asked.
    pub query: Query,
    edns: Option<Edns>,
    transport: Transport,
}

/// Why a message is not a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is none, or itself an answer: saying something could go round in circles.
    Ignored,
    /// This is to be said.
    Reply(Vec<u8>),
}

impl Request {
    /// Reads a request. What it claims to hold is checked before room is made for it.
    pub fn read(message: &[u8], transport: Transport) -> Result<Self, Refusal> {
        let mut decoder = BinDecoder::new(message);
        let Ok(Header { metadata, counts }) = Header::read(&mut decoder) else {
            return Err(Refusal::Ignored);
        };
        if metadata.message_type == MessageType::Response {
            return Err(Refusal::Ignored);
        }
        let refuse = |code| Err(Refusal::Reply(bare(&metadata, code)));
        if metadata.op_code != OpCode::Query {
            return refuse(ResponseCode::NotImp);
        }
        let too_much = counts.answers > 0 || counts.authorities > 0 || counts.additionals > ADDITIONALS;
        if wire::question_end(message).is_none() || too_much {
            return refuse(ResponseCode::FormErr);
        }
        let Ok(query) = Query::read(&mut decoder) else { return refuse(ResponseCode::FormErr) };
        let additionals = usize::from(counts.additionals);
        let Ok((_, edns, _)) = Message::read_records(&mut decoder, additionals, true, OpCode::Query) else {
            return refuse(ResponseCode::FormErr);
        };
        let request = Request { metadata, query, edns, transport };
        if request.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            return Err(Refusal::Reply(request.fail(ResponseCode::BADVERS)));
        }
        Ok(request)
    }

    /// Returns the largest answer that the asker can take.
    pub fn limit(&self) -> u16 {
        match (self.transport, &self.edns) {
            (Transport::Tcp, _) => u16::MAX,
            (Transport::Udp, None) => 512,
            (Transport::Udp, Some(edns)) => edns.max_payload().max(512),
        }
    }

    /// Returns how the request came.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Writes an answer that holds nothing but a code.
    pub fn fail(&self, code: ResponseCode) -> Vec<u8> {
        self.write(Answer::failure(code), false)
    }

    /// Writes an answer. What does not fit is left out: first the additional records, then answers, which is said.
    pub fn write(&self, answer: Answer, authoritative: bool) -> Vec<u8> {
        self.try_write(answer, authoritative).unwrap_or_else(|_| bare(&self.metadata, ResponseCode::ServFail))
    }

    fn try_write(&self, answer: Answer, authoritative: bool) -> Result<Vec<u8>, ProtoError> {
        // Packets that would be sent in pieces get lost: never more than what fits every path.
        let limit = match self.transport {
            Transport::Udp => self.limit().min(DEFAULT_MAX_PAYLOAD_LEN),
            Transport::Tcp => self.limit(),
        };
        let mut metadata = Metadata::response_from_request(&self.metadata);
        metadata.authoritative = authoritative;
        metadata.recursion_available = true;
        metadata.response_code = answer.code;
        let mut message = Message::new(metadata.id, metadata.message_type, metadata.op_code);
        message.metadata = metadata;
        message.add_query(self.query.clone());
        message.edns = self.edns.as_ref().map(|asked| {
            let mut edns = Edns::new();
            edns.set_max_payload(DEFAULT_MAX_PAYLOAD_LEN).set_dnssec_ok(asked.flags().dnssec_ok);
            edns
        });
        message.answers = answer.answers;
        message.authorities = answer.authorities;
        message.additionals = answer.additionals;

        let bytes = encode(&message, limit)?;
        if !wire::is_truncated(&bytes) {
            return Ok(bytes);
        }
        message.additionals.clear();
        let bytes = encode(&message, limit)?;
        if !wire::is_truncated(&bytes) {
            return Ok(bytes);
        }
        // As many answers as fit beside OPT, which must not be the one left out.
        let edns = message.edns.take();
        let bytes = encode(&message, limit - OPT)?;
        let fitting = bytes.get(6..8).map_or(0, |count| u16::from_be_bytes([count[0], count[1]]));
        message.answers.truncate(fitting.into());
        message.authorities.clear();
        message.edns = edns;
        message.metadata.truncation = true;
        encode(&message, limit)
    }
}

fn encode(message: &Message, limit: u16) -> Result<Vec<u8>, ProtoError> {
    let mut bytes = Vec::with_capacity(512);
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_max_size(limit);
    message.emit(&mut encoder)?;
    Ok(bytes)
}

/// A header that says how it went, for requests of which no more could be read.
fn bare(asked: &Metadata, code: ResponseCode) -> Vec<u8> {
    let mut metadata = Metadata::response_from_request(asked);
    metadata.recursion_available = true;
    metadata.response_code = code;
    let header = Header { metadata, counts: Default::default() };
    let mut bytes = Vec::with_capacity(wire::HEADER);
    let mut encoder = BinEncoder::new(&mut bytes);
    match header.emit(&mut encoder) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}

/// Writes a request of our own, for what an alias leads to.
pub fn ask(name: &Name, kind: RecordType) -> Option<Vec<u8>> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name.clone(), kind));
    message.to_vec().ok()
}

/// Reads what another server says of an alias's target: how it went, the addresses and further aliases.
pub fn read_reply(reply: &[u8], kind: RecordType) -> Option<(ResponseCode, Vec<Record>)> {
    // The decoder makes room for as many questions as are claimed: there must be just one.
    wire::question_end(reply)?;
    let message = Message::from_vec(reply).ok()?;
    let wanted = |record: &Record| {
        let found = record.record_type();
        record.dns_class == DNSClass::IN && (found == kind || found == RecordType::CNAME)
    };
    let code = message.metadata.response_code;
    Some((code, message.answers.into_iter().filter(wanted).collect()))
}
