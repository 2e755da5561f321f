//! An operator with curl, who blocks the thread that asks.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One request. Gives back the status and the body.
pub(crate) fn request(
    address: SocketAddr,
    line: &str,
    header: &str,
    body: &str,
) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let host = if header.starts_with("host:") { "" } else { "host: pool\r\n" };
    let head = format!("{line} HTTP/1.1\r\n{host}connection: close");
    stream.write_all(format!("{head}\r\n{header}\r\n\r\n{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default().replace("HTTP/1.1 ", "");
    Ok(format!("{status}\n{}", body.trim_end()))
}

/// Prints the request, and what curl would print.
pub(crate) fn ask(
    address: SocketAddr,
    line: &str,
    body: &str,
) -> io::Result<String> {
    println!("> {line}{}{body}", if body.is_empty() { "" } else { ": " });
    let length = format!("content-length: {}", body.len());
    let answer = request(address, line, &length, body)?;
    println!("{}", answer.trim_start_matches("200 OK\n"));
    Ok(answer)
}
