//! Where the messages of PostgreSQL's protocol begin and end, in a stream that arrives in pieces.
//!
//! A message is a tag of one byte, a length of four that counts itself, and a body. Only the first message of a client, the
//! startup, has no tag. See <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

/// How much of a body is kept, of those that anybody reads: enough for the SQLSTATE of an error.
const KEPT: usize = 96;

/// Of the server: the end of a command, an error, and the end of an answer. Of the client: a statement to prepare.
const READ: [u8; 4] = [b'C', b'E', b'P', b'Z'];

/// Reads one direction of a conversation.
#[derive(Debug)]
pub(crate) struct Scanner {
    /// Whether the next message has a tag.
    tagged: bool,
    /// The first part of a header that has arrived in pieces.
    header: Vec<u8>,
    /// The message whose body arrives, and what is kept of that.
    message: Option<Message>,
    body: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Message {
    tag: u8,
    /// How much of its body is still to come.
    missing: usize,
}

/// What the tag of the startup message is taken for.
pub(crate) const STARTUP: u8 = 0;

impl Message {
    /// `header` is a tag, if there is one, and a length.
    fn of(header: &[u8]) -> Self {
        let (tag, length) = header.split_last_chunk().unwrap_or((&[], &[0; 4]));
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        Self { tag: tag.first().copied().unwrap_or(STARTUP), missing: length.saturating_sub(4) }
    }
}

impl Scanner {
    pub(crate) fn of_client() -> Self {
        Self { tagged: false, header: Vec::new(), message: None, body: Vec::new() }
    }

    pub(crate) fn of_server() -> Self {
        Self { tagged: true, ..Self::of_client() }
    }

    /// Takes the next bytes, and calls `on_message` with the tag of each message that ends in them, and with the beginning of
    /// its body if that is one to be read.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut on_message: impl FnMut(u8, &[u8])) {
        while let Some((mut message, rest)) = self.begin(bytes) {
            let (piece, rest) = rest.split_at(rest.len().min(message.missing));
            if READ.contains(&message.tag) {
                self.body.extend_from_slice(&piece[..piece.len().min(KEPT - self.body.len())]);
            }
            message.missing -= piece.len();
            if message.missing > 0 {
                self.message = Some(message);
                return;
            }
            on_message(message.tag, &self.body);
            self.body.clear();
            self.tagged = true;
            bytes = rest;
        }
    }

    /// The message that `bytes` begins or continues, and what is left of them. None if they end within its header.
    fn begin<'b>(&mut self, bytes: &'b [u8]) -> Option<(Message, &'b [u8])> {
        if let Some(message) = self.message.take() {
            return Some((message, bytes));
        }
        let length = 4 + usize::from(self.tagged);
        // Nearly every header arrives in one piece. It is read where it lies.
        if self.header.is_empty()
            && let Some((header, rest)) = bytes.split_at_checked(length)
        {
            return Some((Message::of(header), rest));
        }
        let (piece, rest) = bytes.split_at(bytes.len().min(length - self.header.len()));
        self.header.extend_from_slice(piece);
        if self.header.len() < length {
            return None;
        }
        let message = Message::of(&self.header);
        self.header.clear();
        Some((message, rest))
    }
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
        let server =
            [message(b'd', &long), message(b'E', &long), message(b'C', b"SELECT 1\0"), message(b'Z', b"I")]
                .concat();
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
            let command = (b'C', b"SELECT 1\0".to_vec());
            let expected = [(b'd', vec![]), (b'E', vec![7; KEPT]), command, (b'Z', b"I".to_vec())];
            assert_eq!(found, expected, "pieces of {size}");
        }
    }

    #[test]
    fn an_error_has_its_code_in_a_field() {
        assert_eq!(sqlstate(b"SERROR\0VERROR\0C25006\0Mcannot\0\0"), Some("25006"));
        assert_eq!(sqlstate(b"SERROR\0Mcut"), None);
    }
}
