//! The bridges with the managers that people use, against real servers, and the programs that compare pools.
#![cfg(unix)]

mod bb8;
mod clients;
mod common;
mod deadpool;
mod diesel;
mod layers;
mod load;
mod mariadb;
mod matrix;
mod moves;
mod pages;
mod r2d2;
mod rabbitmq;
mod wrapped;
