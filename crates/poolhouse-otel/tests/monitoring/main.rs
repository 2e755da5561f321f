//! The files that the guide gives to users for Prometheus and Grafana: their syntax, their names, and what they tell of a
//! pool in each fault.
#![cfg(unix)]

mod dashboard;
mod exporter;
mod faults;
mod files;
mod judged;
mod names;
mod rules;
