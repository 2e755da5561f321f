//! Just enough HTTP and websocket to be a reader's browser.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::fixture::PATIENCE;

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Asks for a path exactly as it is written.
pub(crate) fn get(addr: SocketAddr, path: &str) -> Reply {
    ask(addr, path, &format!("Host: {addr}\r\n"))
}

/// The same with these headers.
pub(crate) fn ask(addr: SocketAddr, path: &str, headers: &str) -> Reply {
    let mut stream = connect(addr);
    write!(stream, "GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP in `{text}`"));
    Reply { status: status(head), head: head.to_lowercase(), body: body.to_owned() }
}

fn status(head: &str) -> u16 {
    head.split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("no status in `{head}`"))
}

/// The websocket through which a page hears that it is out of date.
pub(crate) struct Reload(TcpStream);

impl Reload {
    /// Connects as the script of `page` does. When this returns, the server has the connection.
    pub(crate) fn of(addr: SocketAddr, page: &str) -> Reload {
        let path = path(page);
        let mut stream = connect(addr);
        write!(
            stream,
            "GET /{path} HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert_eq!(status(&String::from_utf8_lossy(&head)), 101);
        Reload(stream)
    }

    /// Waits for a message, and returns its text.
    pub(crate) fn message(&mut self) -> String {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).expect("a message, before the time is over");
        assert_eq!(head[0], 0x81, "one whole text frame");
        let mut text = vec![0; usize::from(head[1])];
        self.0.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }
}

/// The path of the websocket in the script of a page.
pub(crate) fn path(page: &str) -> &str {
    let start = page.find("__reload/").expect("the page has a reload script");
    page[start..].split('"').next().unwrap()
}
