//! Where the messages of PostgreSQL's protocol begin and end, in a stream that arrives in pieces.
//!
//! A message is a tag of one byte, a length of four that counts itself, and a body. Only the first message of a client, the
//! startup, has no tag. See <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

/// How much of a body is kept, of those that anybody reads: enough for the SQLSTATE of an error.
const KEPT: usize = 96;

/// An error, and the end of an answer.
const READ: [u8; 2] = [b'E', b'Z'];

/// Reads one direction of a conversation.
#[derive(Debug)]
pub(crate) struct Scanner {
    /// The tag and the length, as far as they have arrived.
    header: Vec<u8>,
    tagged: bool,
    /// How much of the body is still to come.
    missing: usize,
    body: Vec<u8>,
}

/// What the tag of the startup message is taken for.
pub(crate) const STARTUP: u8 = 0;

impl Scanner {
    pub(crate) fn of_client() -> Self {
        Self { header: Vec::with_capacity(5), tagged: false, missing: 0, body: Vec::new() }
    }

    pub(crate) fn of_server() -> Self {
        Self { tagged: true, ..Self::of_client() }
    }

    /// Takes the next bytes, and calls `on_message` with the tag of each message that ends in them, and with the beginning of
    /// its body if that is one of the server's to be read.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut on_message: impl FnMut(u8, &[u8])) {
        while !bytes.is_empty() {
            let header_length = 4 + usize::from(self.tagged);
            if self.header.len() < header_length {
                let taken = bytes.len().min(header_length - self.header.len());
                self.header.extend_from_slice(&bytes[..taken]);
                bytes = &bytes[taken..];
                if self.header.len() < header_length {
                    return;
                }
                self.missing = body_length(&self.header[header_length - 4..]);
                self.body.clear();
            }
            let taken = bytes.len().min(self.missing);
            if READ.contains(&self.header[0]) {
                let kept = taken.min(KEPT - self.body.len());
                self.body.extend_from_slice(&bytes[..kept]);
            }
            self.missing -= taken;
            bytes = &bytes[taken..];
            if self.missing == 0 {
                let tag = if self.tagged { self.header[0] } else { STARTUP };
                on_message(tag, &self.body);
                self.header.clear();
                self.tagged = true;
            }
        }
    }
}

fn body_length(length: &[u8]) -> usize {
    let length = length.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    length.saturating_sub(4)
}

/// The SQLSTATE in the body of an error: fields of a type, a text and a zero each.
pub(crate) fn sqlstate(body: &[u8]) -> Option<&str> {
    let code = body.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(b"C"))?;
    str::from_utf8(code).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = if tag == STARTUP { Vec::new() } else { vec![tag] };
        bytes.extend_from_slice(&u32::try_from(4 + body.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn messages_are_found_however_the_stream_is_cut() {
        let long = [7; 1000];
        let client = [message(STARTUP, b"user"), message(b'Q', b"SELECT 1\0"), message(b'S', b"")].concat();
        let server = [message(b'd', &long), message(b'E', &long), message(b'Z', b"I")].concat();
        for size in 1..server.len() {
            let mut found = Vec::new();
            let mut scanner = Scanner::of_client();
            for piece in client.chunks(size) {
                scanner.feed(piece, |tag, _| found.push(tag));
            }
            assert_eq!(found, [STARTUP, b'Q', b'S'], "pieces of {size}");
            let mut found = Vec::new();
            let mut scanner = Scanner::of_server();
            for piece in server.chunks(size) {
                scanner.feed(piece, |tag, body| found.push((tag, body.to_vec())));
            }
            let expected = [(b'd', vec![]), (b'E', vec![7; KEPT]), (b'Z', b"I".to_vec())];
            assert_eq!(found, expected, "pieces of {size}");
        }
    }

    #[test]
    fn an_error_has_its_code_in_a_field() {
        assert_eq!(sqlstate(b"SERROR\0VERROR\0C25006\0Mcannot\0\0"), Some("25006"));
        assert_eq!(sqlstate(b"SERROR\0Mcut"), None);
    }
}
