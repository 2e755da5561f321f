//! The program: its first lines, its last line, its complaints.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_poolhouse-echo"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Kills the program when a test fails half way.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_says_where_it_listens_then_its_faults_and_serves() {
    let mut child = Running(
        program(&["--listen", "127.0.0.1:0", "--max-connections", "1", "--reply", "half-then-close"])
            .spawn()
            .unwrap(),
    );
    let mut out = BufReader::new(child.0.stdout.take().unwrap());
    let mut line = || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let first = line();
    let addr = first.strip_prefix("listening on ").unwrap_or_else(|| panic!("the first line: {first}"));
    assert_eq!(line(), "max connections: refuses any beyond 1");
    assert_eq!(line(), "reply: half of each frame, then the end of the connection");

    let mut client = TcpStream::connect(addr).unwrap();
    client.write_all(b"\0\0\0\x04ping").unwrap();
    let mut reply = Vec::new();
    client.read_to_end(&mut reply).unwrap();
    assert_eq!(reply, b"\0\0\0\x04");

    #[cfg(unix)]
    {
        let pid = child.0.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        assert_eq!(
            line(),
            "accepted 1, refused 0, open 0, peak open 1, received 1 frames (4 bytes), sent 0 frames (0 bytes)"
        );
        assert!(child.0.wait().unwrap().success());
    }
}

#[test]
fn a_bad_value_is_named_with_its_switch() {
    let output = program(&["--latency", "soon"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("'soon'") && complaint.contains("--latency"), "{complaint}");
}

#[test]
fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let output = program(&["--listen", &addr]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.starts_with(&format!("poolhouse-echo: cannot listen on `{addr}`: ")), "{complaint}");
}

/// The README shows the help as it is, line breaks apart: those depend on how clap was built.
#[test]
fn the_readme_lists_every_switch() {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = String::from_utf8(program(&["-h"]).output().unwrap().stdout).unwrap();
    let switches = help.split_once("Options:").expect("a help with options").1;
    let readme = include_str!("../../README.md");
    assert!(words(readme).contains(&words(switches)), "the README should hold, word for word:\n{switches}");
}
