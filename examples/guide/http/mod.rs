//! What the chapter on HTTP upstreams uses: a manager over hyper, and a server
//! that misbehaves.

pub(crate) mod server;
pub(crate) mod upstream;
