//! What connections carry: streams of old and new clients, questions about names and their answers.

use cluster_dns::message::{Refusal, Request, Transport, ask, read_reply};
use futures::StreamExt as _;
use hickory_proto::rr::{Name, RecordType};
use httpstream::spdy::{Connection, End};
use httpstream::websocket;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

/// What a connection holds on its way.
const PIPE: usize = 64 * 1024;

thread_local! {
    /// Connections run on it.
    static LOOP: Option<tokio::runtime::Runtime> = tokio::runtime::Builder::new_current_thread().build().ok();
}

pub(super) fn on_loop<T>(work: impl Future<Output = T>) -> T {
    LOOP.with(|runtime| runtime.as_ref().expect("a runtime without drivers needs nothing").block_on(work))
}

/// What a client says: streams with their headers, some bytes, and their ends.
pub fn conversations() -> Vec<Vec<u8>> {
    let headers =
        |kind: &str| vec![("streamtype".to_owned(), kind.to_owned()), ("port".to_owned(), "8080".to_owned())];
    let conversation = |kinds: &[&str], ends: bool| {
        on_loop(async {
            let (ours, theirs) = duplex(PIPE);
            let (connection, _opened, driver) = Connection::new(theirs, End::Client);
            tokio::spawn(driver);
            for kind in kinds {
                let Ok(stream) = connection.open(headers(kind)).await else { continue };
                let sender = stream.sender();
                let _ = sender.write("some bytes".into()).await;
                if ends {
                    let _ = sender.finish().await;
                }
            }
            connection.close().await;
            drop(connection);
            let mut said = Vec::new();
            let (mut reading, _writing) = split(ours);
            let _ = reading.read_to_end(&mut said).await;
            said
        })
    };
    let ping = vec![0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1];
    vec![
        conversation(&["error", "stdin", "stdout"], true),
        conversation(&["data", "error"], false),
        [ping, conversation(&["error"], true)].concat(),
    ]
}

/// A server takes the streams that a client opens, and all that comes in them.
pub fn spdy(input: &[u8]) -> bool {
    on_loop(async {
        let (ours, theirs) = duplex(PIPE);
        let (connection, mut opened, driver) = Connection::new(theirs, End::Server);
        tokio::spawn(driver);
        let (mut reading, mut writing) = split(ours);
        let told = async {
            let _ = writing.write_all(input).await;
            let _ = writing.shutdown().await;
        };
        let taken = async {
            let mut count = 0;
            while let Some(mut stream) = opened.recv().await {
                count += 1;
                tokio::spawn(async move { while stream.read().await.is_some() {} });
            }
            drop(connection);
            count
        };
        let answered = async {
            let mut answer = Vec::new();
            let _ = reading.read_to_end(&mut answer).await;
        };
        let ((), count, ()) = tokio::join!(told, taken, answered);
        count > 0
    })
}

/// Compressed headers, as they stand in a frame that opens a stream.
pub fn blocks() -> Vec<Vec<u8>> {
    let blocks = conversations().into_iter().filter_map(|conversation| {
        // The first frame: version and kind, flags and length, the stream, what it belongs to, its priority.
        let length = usize::from(*conversation.get(6)?) * 256 + usize::from(*conversation.get(7)?);
        Some(conversation.get(18..8 + length)?.to_vec())
    });
    blocks.filter(|block| !block.is_empty()).collect()
}

pub fn spdy_headers(input: &[u8]) -> bool {
    let block = &input[..input.len().min(0xFFFF)];
    let length = u32::try_from(block.len() + 10).expect("a block is short").to_be_bytes();
    let head = [0x80, 3, 0, 1, 0, length[1], length[2], length[3], 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    spdy(&[&head, block].concat())
}

/// Frames as clients send them: masked, one channel's bytes each.
pub fn messages() -> Vec<Vec<u8>> {
    let frame = |kind: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).expect("seeds are short");
        // A mask of zeros changes nothing.
        [&[0x80 | kind, 0x80 | length, 0, 0, 0, 0], payload].concat()
    };
    vec![
        [frame(2, b"\0some input"), frame(2, &[255, 0]), frame(8, &[3, 232])].concat(),
        [frame(1, b"0c29tZQ=="), frame(9, b"ping"), frame(1, b"4e30=")].concat(),
        [frame(2, b"\x04{\"Width\":80,\"Height\":24}"), frame(2, &[0, 80, 31])].concat(),
        [&[0x02, 0x82, 0, 0, 0, 0, 0, b'a'][..], &[0x80, 0x81, 0, 0, 0, 0, b'b']].concat(),
    ]
}

/// A kubelet takes messages of all protocols of channels.
pub fn channels(input: &[u8]) -> bool {
    on_loop(async {
        let (ours, theirs) = duplex(PIPE);
        let mut socket = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
        let (mut reading, mut writing) = split(ours);
        let told = async {
            let _ = writing.write_all(input).await;
            let _ = writing.shutdown().await;
        };
        let taken = async {
            let mut understood = false;
            while let Some(Ok(message)) = socket.next().await {
                for base64 in [false, true] {
                    understood |= match message.clone() {
                        Message::Binary(data) => websocket::read(data, base64).is_some(),
                        Message::Text(text) => websocket::read(text.into(), base64).is_some(),
                        _ => false,
                    };
                }
            }
            drop(socket);
            understood
        };
        let answered = async {
            let mut answer = Vec::new();
            let _ = reading.read_to_end(&mut answer).await;
        };
        let ((), understood, ()) = tokio::join!(told, taken, answered);
        understood
    })
}

pub fn questions() -> Vec<Vec<u8>> {
    [
        ("web.default.svc.cluster.local.", RecordType::A),
        ("_http._tcp.web.default.svc.cluster.local.", RecordType::SRV),
        ("10.1.16.172.in-addr.arpa.", RecordType::PTR),
    ]
    .iter()
    .filter_map(|(name, kind)| ask(&Name::from_ascii(name).ok()?, *kind))
    .collect()
}

pub fn dns(input: &[u8]) -> bool {
    for transport in [Transport::Udp, Transport::Tcp] {
        if let Err(Refusal::Reply(reply)) = Request::read(input, transport) {
            assert!(reply.len() >= 12, "what is said is a message");
        }
    }
    Request::read(input, Transport::Udp).is_ok()
}

pub fn replies() -> Vec<Vec<u8>> {
    // The bit that makes an answer of a question is the first of the third byte.
    let mut replies = questions();
    replies.iter_mut().for_each(|question| question[2] |= 0x80);
    replies
}

/// What other name servers answer.
pub fn dns_reply(input: &[u8]) -> bool {
    let (mut reply, question) = (input.to_vec(), questions().swap_remove(0));
    cluster_dns::wire::readdress(&mut reply, &question);
    cluster_dns::wire::truncate(&mut reply);
    cluster_dns::wire::is_truncated(&reply);
    read_reply(input, RecordType::A).is_some()
}
