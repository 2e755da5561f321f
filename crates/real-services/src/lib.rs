//! Four pools beside each other over one real PostgreSQL: [`matrix`] breaks the server, [`speed`] measures. And
//! worked managers for [`mariadb`] and for a client of tokio-postgres, [`wrapped`]. See the README.
#![warn(missing_docs)]

pub mod contestants;
pub mod mariadb;
pub mod matrix;
pub mod speed;
mod table;
pub mod wrapped;
