//! Four pools beside each other over one real PostgreSQL: [`matrix`] breaks the server, [`speed`] measures. And
//! a worked manager for [`mariadb`], and the programs of two chapters, [`pages`]. See the README.
#![warn(missing_docs)]

pub mod contestants;
pub mod mariadb;
pub mod matrix;
pub mod pages;
pub mod speed;
mod table;
