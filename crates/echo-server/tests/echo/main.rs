//! The echo server as its users see it. One binary, so that it links once.

#[cfg(feature = "cli")]
mod binary;
mod both;
mod client;
mod in_memory;
mod lifecycle;
mod memory;
mod on_a_socket;
