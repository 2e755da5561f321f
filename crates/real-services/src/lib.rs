//! Four pools beside each other over one real PostgreSQL: [`matrix`] breaks the server, [`speed`] measures. Several
//! processes with pools behind PgBouncer and HAProxy: [`layers`]. Worked managers for [`mariadb`], for [`rabbitmq`] and
//! for a client of tokio-postgres, [`wrapped`], and the programs of chapters, [`pages`]. See the README.
#![warn(missing_docs)]

pub mod contestants;
pub mod layers;
pub mod mariadb;
pub mod matrix;
pub mod pages;
pub mod rabbitmq;
pub mod speed;
mod table;
pub mod wrapped;
