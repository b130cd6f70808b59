//! `--raw`: a path of the server, read or written as it is.

use bytes::Bytes;
use http::Method;

use cli_runtime::error::{Error, Result, go_io_error};
use cli_runtime::resource::Session;

/// Reads a path and prints what the server answers.
pub async fn get(session: &Session, path: &str) -> Result<()> {
    send(session, Method::GET, path, Bytes::new()).await
}

/// Sends a request with the content of a file, `-` for standard input, and prints the answer.
pub async fn with_file(session: &Session, method: Method, path: &str, files: &[String]) -> Result<()> {
    let body = match files {
        [] => Bytes::new(),
        [file] if file == "-" => {
            let mut body = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut body)?;
            body.into()
        }
        [file] => std::fs::read(file)
            .map_err(|error| Error::message(format!("open {file}: {}", go_io_error(&error))))?
            .into(),
        _ => return Err(Error::message("--raw can only use a single local file or stdin")),
    };
    send(session, method, path, body).await
}

async fn send(session: &Session, method: Method, path: &str, body: Bytes) -> Result<()> {
    let path = if path.starts_with('/') { path.to_string() } else { format!("/{path}") };
    cli_runtime::out::bytes(&session.client.raw(method, &path, body).await?);
    Ok(())
}
