//! exec, attach and port-forward against a server that speaks the WebSocket channel protocol.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use serde_json::json;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Message, WebSocket};

/// Serves a running pod; a WebSocket of exec echoes standard input in capitals and ends with code 3.
fn serve(stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut key = String::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            if header.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("sec-websocket-key")
            {
                key = value.trim().to_string();
            }
        }
        let path = first.split_whitespace().nth(1).unwrap_or("").to_string();
        if key.is_empty() {
            let pod = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web", "namespace": "default"},
                "spec": {"containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 80}]}]}, "status": {"phase": "Running"}});
            let body = pod.to_string();
            write!(
                writer,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
            continue;
        }
        write!(
            writer,
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {}\r\nsec-websocket-protocol: v5.channel.k8s.io\r\n\r\n",
            derive_accept_key(key.as_bytes())
        )
        .unwrap();
        let socket = WebSocket::from_raw_socket(writer, Role::Server, None);
        return if path.contains("/portforward") { forward(socket) } else { exec(socket, &path) };
    }
}

fn send(socket: &mut WebSocket<TcpStream>, channel: u8, bytes: &[u8]) {
    let mut message = vec![channel];
    message.extend_from_slice(bytes);
    socket.send(Message::Binary(message.into())).unwrap();
}

fn exec(mut socket: WebSocket<TcpStream>, path: &str) {
    send(&mut socket, 1, b"out\n");
    send(&mut socket, 2, b"err\n");
    while path.contains("stdin=true") {
        match socket.read().unwrap() {
            Message::Binary(bytes) if bytes[0] == 0 => send(&mut socket, 1, &bytes[1..].to_ascii_uppercase()),
            // v5 closes standard input with 255 and the channel's number.
            Message::Binary(bytes) if bytes[..] == [255, 0] => break,
            _ => {}
        }
    }
    let code = if path.contains("command=true") { 0 } else { 3 };
    let status = match code {
        0 => json!({"status": "Success"}),
        code => json!({"status": "Failure", "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]}}),
    };
    send(&mut socket, 3, status.to_string().as_bytes());
    let _ = socket.close(None);
    while socket.read().is_ok() {}
}

fn forward(mut socket: WebSocket<TcpStream>) {
    for channel in [0, 1] {
        send(&mut socket, channel, &80u16.to_le_bytes());
    }
    while let Ok(message) = socket.read() {
        if let Message::Binary(bytes) = message
            && bytes[0] == 0
        {
            send(&mut socket, 0, &bytes[1..].to_ascii_uppercase());
        }
    }
}

fn kubectl(home: &std::path::Path, words: &[&str]) -> Command {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl"));
    command
        .args(["-s", &format!("http://127.0.0.1:{port}")])
        .args(words)
        .env("HOME", home)
        .env_remove("KUBECONFIG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn exec_keeps_streams_apart_and_returns_the_exit_code() {
    let home = tempfile::tempdir().unwrap();
    let output = kubectl(home.path(), &["exec", "web", "--", "sh"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "out\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "err\ncommand terminated with exit code 3\n");
    assert_eq!(output.status.code(), Some(3));
    let output = kubectl(home.path(), &["exec", "web", "--", "true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn exec_sends_standard_input_to_its_end() {
    let home = tempfile::tempdir().unwrap();
    let mut child =
        kubectl(home.path(), &["exec", "-i", "web", "--", "true"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "out\nHELLO\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn port_forward_joins_a_local_port_to_the_pods() {
    let home = tempfile::tempdir().unwrap();
    let mut child = kubectl(home.path(), &["port-forward", "--address", "127.0.0.1", "pod/web", ":http"])
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let address = line.split_whitespace().nth(2).unwrap();
    assert!(line.ends_with(" -> 80\n"), "{line}");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"ping").unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"PING");
    child.kill().unwrap();
    child.wait().unwrap();
}
