//! A WebSocket seen as a stream of bytes.

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

/// Carries bytes in binary messages.
pub fn as_bytes<S>(socket: WebSocketStream<S>) -> DuplexStream
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (inside, outside) = tokio::io::duplex(1 << 16);
    let (mut sink, mut stream) = socket.split();
    let (mut reader, mut writer) = tokio::io::split(outside);
    tokio::spawn(async move {
        while let Some(Ok(message)) = stream.next().await {
            if message.is_binary() && writer.write_all(&message.into_data()).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        let mut buffer = vec![0; 1 << 15];
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            if sink.send(Message::binary(buffer[..count].to_vec())).await.is_err() {
                return;
            }
        }
    });
    inside
}
