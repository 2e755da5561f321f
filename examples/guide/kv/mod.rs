//! A small key-value store for the guide's examples: its server, its connection
//! and its `Manager`.
//!
//! The protocol is lines of text. A request is a command and its words, an answer
//! is `+` and a text or `-` and a code. The server speaks first, `+KV 1`, and
//! takes nothing but `AUTH user secret` until that has succeeded.
//!
//! | request | answer |
//! |---|---|
//! | `AUTH user secret` | `+OK`, or `-AUTH` and the end |
//! | `PING` | `+PONG` |
//! | `SET key value` | `+OK`, or `-READONLY` on a replica |
//! | `GET key` | `+value`, or `-NOTFOUND` |
//! | `KEYS` | `*key` for each key of the space, then `+OK` |
//! | `USE space` | `+OK`: keys are those of this space from now on, in this
//! session |
//! | `RESET` | `+OK`: the session is as it was after `AUTH` |
//! | `ROLE` | `+primary` or `+replica` |
// No example uses all of it, and none is a library.
#![allow(dead_code, unreachable_pub)]

pub mod connection;
pub mod manager;
pub mod server;
