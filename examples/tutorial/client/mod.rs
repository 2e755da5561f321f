//! A small HTTP client, so that the service can try itself.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Sends one request. Gives back the status, `retry-after` if there is one, and
/// the body.
pub(crate) async fn request(
    address: SocketAddr,
    line: &str,
    body: &str,
) -> io::Result<String> {
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    let mut response = String::new();
    timeout(Duration::from_secs(5), async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_string(&mut response).await
    })
    .await??;

    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    let mut answer =
        head.lines().next().unwrap_or_default().replace("HTTP/1.1 ", "");
    if let Some(retry) = head.lines().find(|line| line.starts_with("retry-after")) {
        answer.push_str(&format!(" ({retry})"));
    }
    Ok(format!("{answer}: {}", body.trim_end()))
}
