//! Which machine it was, and when.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub os: String,
    pub rustc: String,
    pub memory_gib: u64,
}

impl Machine {
    pub fn this() -> Self {
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_string())
        };
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib = field(&meminfo, "MemTotal").and_then(|total| total.split(' ').next()?.parse::<u64>().ok());
        Self {
            cpu: field(&cpuinfo, "model name").unwrap_or_else(|| "unknown".to_string()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            os: os(),
            rustc: rustc(),
            memory_gib: kib.map_or(0, |kib| (kib + (1 << 19)) >> 20),
        }
    }
}

/// The version of the compiler that `cargo run` uses here, such as `1.95.0`.
pub fn rustc() -> String {
    let text = output("rustc", &["--version"]);
    text.split(' ').nth(1).unwrap_or("unknown").to_string()
}

fn os() -> String {
    let release = output("uname", &["-r"]);
    let mut numbers = release.split('.');
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => format!("{} {major}.{minor}", output("uname", &["-s"])),
        _ => std::env::consts::OS.to_string(),
    }
}

/// Today in UTC, such as `2026-11-26`.
pub fn date() -> String {
    output("date", &["-u", "+%Y-%m-%d"])
}

fn output(program: &str, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_string(),
        Err(_) => "unknown".to_string(),
    }
}
