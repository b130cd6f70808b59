//! From the bytes of a request to the bytes of its reply: at once, or after asking another server.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use parking_lot::RwLock;

use crate::answer::{Answer, Outcome, Zones, answer};
use crate::forward::{Forwarder, NoAnswer, Slot};
use crate::message::{Refusal, Request, Transport, ask, read_reply};
use crate::metrics::{self, Zone};
use crate::records::Records;
use crate::wire;

/// Everything that answers.
pub struct Server {
    zones: Zones,
    records: Arc<RwLock<Records>>,
    forwarder: Forwarder,
    turn: AtomicUsize,
}

/// How far a request got at once.
pub enum Step {
    /// Nothing is said.
    Silence,
    /// The reply.
    Reply(Vec<u8>),
    /// Another server must be asked: [`Server::finish`].
    Pending(Box<Pending>),
}

/// A request that waits for another server.
pub struct Pending {
    call: Call,
    slot: Slot,
    /// What is asked of the other server.
    asked: Vec<u8>,
    /// What is known already, when the question there is what an alias leads to.
    alias: Option<Answer>,
}

/// A request with what is measured of it.
struct Call {
    request: Request,
    began: Instant,
    peer: IpAddr,
}

impl Server {
    /// Makes a server of records, which are fed elsewhere.
    pub fn new(zones: Zones, records: Arc<RwLock<Records>>, forwarder: Forwarder) -> Self {
        Server { zones, records, forwarder, turn: AtomicUsize::new(0) }
    }

    /// Answers a message as far as that needs nobody else.
    pub fn begin(&self, message: &[u8], peer: IpAddr, transport: Transport) -> Step {
        let began = Instant::now();
        let request = match Request::read(message, transport) {
            Ok(request) => request,
            Err(Refusal::Ignored) => return Step::Silence,
            Err(Refusal::Reply(reply)) => return Step::Reply(reply),
        };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let outcome = answer(&self.records.read(), &self.zones, &request.query, turn);
        let kind = request.query.query_type();
        let call = Call { request, began, peer };
        match outcome {
            Outcome::Answered(mut answer) => {
                let Some(target) = answer.elsewhere.take() else { return Step::Reply(call.reply(answer)) };
                match ask(&target, kind) {
                    Some(asked) => self.look_elsewhere(call, asked, Some(answer)),
                    None => Step::Reply(call.fail(Zone::Cluster, ResponseCode::ServFail)),
                }
            }
            Outcome::Elsewhere if matches!(kind, RecordType::AXFR | RecordType::IXFR) => {
                Step::Reply(call.fail(Zone::Elsewhere, ResponseCode::Refused))
            }
            Outcome::Elsewhere => self.look_elsewhere(call, message.to_vec(), None),
        }
    }

    /// Asks another server and answers.
    pub async fn finish(&self, pending: Box<Pending>) -> Vec<u8> {
        let Pending { call, slot, asked, alias } = *pending;
        let mut said = self.forwarder.ask(&slot, &asked, call.request.transport()).await;
        // The asker of an alias cannot ask again by itself for what its target's answer lacks.
        if alias.is_some() && said.as_ref().is_ok_and(|reply| wire::is_truncated(reply)) {
            said = self.forwarder.ask(&slot, &asked, Transport::Tcp).await.or(said);
        }
        call.pass_on(alias, said)
    }

    fn look_elsewhere(&self, call: Call, asked: Vec<u8>, alias: Option<Answer>) -> Step {
        if let Some(reply) = self.forwarder.cached(&asked) {
            return Step::Reply(call.pass_on(alias, Ok(reply)));
        }
        match self.forwarder.slot() {
            Some(slot) => Step::Pending(Box::new(Pending { call, slot, asked, alias })),
            None => Step::Reply(call.pass_on(alias, Err(NoAnswer))),
        }
    }
}

impl Call {
    fn reply(self, answer: Answer) -> Vec<u8> {
        let reply = self.request.write(answer, true);
        self.measure(Zone::Cluster, &reply);
        reply
    }

    fn fail(self, zone: Zone, code: ResponseCode) -> Vec<u8> {
        let reply = self.request.fail(code);
        self.measure(zone, &reply);
        reply
    }

    /// Makes a reply of what another server said.
    fn pass_on(self, alias: Option<Answer>, said: Result<Vec<u8>, NoAnswer>) -> Vec<u8> {
        let kind = self.request.query.query_type();
        match (alias, said) {
            (None, Err(NoAnswer)) => self.fail(Zone::Elsewhere, ResponseCode::ServFail),
            (None, Ok(mut reply)) => {
                if reply.len() > self.request.limit().into() {
                    wire::truncate(&mut reply);
                }
                self.measure(Zone::Elsewhere, &reply);
                reply
            }
            (Some(mut answer), said) => {
                // Where the target cannot be looked up, the alias itself is still true.
                if let Some((code, found)) = said.ok().and_then(|reply| read_reply(&reply, kind)) {
                    answer.code = code;
                    answer.answers.extend(found);
                }
                self.reply(answer)
            }
        }
    }

    fn measure(&self, zone: Zone, reply: &[u8]) {
        metrics::answered(metrics::Answered {
            zone,
            transport: self.request.transport(),
            peer: self.peer,
            kind: self.request.query.query_type(),
            code: wire::response_code(reply),
            took: self.began.elapsed(),
        });
    }
}
