//! Four pools beside each other over one real PostgreSQL: [`matrix`] breaks the server, [`speed`] measures. See the README.
#![warn(missing_docs)]

pub mod contestants;
pub mod matrix;
pub mod speed;
mod table;
