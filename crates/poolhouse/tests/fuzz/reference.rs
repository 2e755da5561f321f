//! What the packet protocol says, in as few lines as it takes: a 4-byte big-endian length, then the payload.

/// What a stream of bytes begins with.
#[derive(Debug, PartialEq)]
pub(crate) enum Next<'a> {
    Packet(&'a [u8]),
    /// A length over the limit.
    TooLong(usize),
    /// Not yet a whole frame; the length, once its header is there.
    Part(Option<usize>),
    Nothing,
}

pub(crate) fn next(bytes: &[u8], limit: usize) -> Next<'_> {
    let Some((header, rest)) = bytes.split_first_chunk::<4>() else {
        return if bytes.is_empty() { Next::Nothing } else { Next::Part(None) };
    };
    match u32::from_be_bytes(*header) as usize {
        length if length > limit => Next::TooLong(length),
        length => rest.get(..length).map_or(Next::Part(Some(length)), Next::Packet),
    }
}

/// The frame of a packet.
pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    [&length.to_be_bytes(), payload].concat()
}
