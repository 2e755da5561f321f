//! A small book in a temporary folder, and the program running on it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use std::{fs, thread};

use tempfile::TempDir;

/// Nothing here takes this long. It bounds a test that would otherwise hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct SmallBook(TempDir);

impl SmallBook {
    pub(crate) fn new() -> SmallBook {
        let book = SmallBook(tempfile::tempdir().unwrap());
        book.write(
            "book.toml",
            "[book]\ntitle = \"Small\"\nsrc = \"book/src\"\n[build]\nbuild-dir = \"target/book\"\n\
             [output.html]\ntheme = \"book/theme\"\nsite-url = \"/published/\"\n",
        );
        book.write("book/src/SUMMARY.md", "- [One](one.md)\n");
        book.write(
            "book/src/one.md",
            "# One\n\nfirst words\n\n```text\n{{#include ../../examples/one.txt}}\n```\n",
        );
        book.write("examples/one.txt", "first output\n");
        book.write("secret.txt", "not for readers\n");
        for folder in ["book/theme", "temporary"] {
            fs::create_dir_all(book.root().join(folder)).unwrap();
        }
        book
    }

    /// The same with two crates to document, named as those of the guide.
    pub(crate) fn with_crates() -> SmallBook {
        let book = SmallBook::new();
        book.write("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]\nresolver = \"3\"\n");
        for name in ["poolhouse", "poolhouse-echo"] {
            let manifest = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
            book.write(&format!("crates/{name}/Cargo.toml"), &manifest);
            book.write(&format!("crates/{name}/src/lib.rs"), "//! What it is for.\n");
        }
        book
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    /// A file among the book's chapters.
    pub(crate) fn source(&self, name: &str) -> PathBuf {
        self.root().join("book/src").join(name)
    }

    /// Writes a file as many editors do: a new file, renamed onto the old one.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let (draft, path) = (self.root().join(".draft"), self.root().join(file));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&draft, text).unwrap();
        fs::rename(draft, path).unwrap();
    }

    /// Writes over the start of a file as other editors do: in place. Without the moment in which it is empty, which
    /// would be an edit of its own on a busy machine.
    pub(crate) fn overwrite(&self, file: &str, start: &str) {
        let mut file = File::options().write(true).open(self.root().join(file)).unwrap();
        file.write_all(start.as_bytes()).unwrap();
    }

    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.root().join(file)).unwrap_or_default()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = guide(arguments);
        command.current_dir(self.root()).env("TMPDIR", self.root().join("temporary"));
        // What the surrounding cargo was told is not for the book's.
        command.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_BUILD_TARGET_DIR");
        command
    }

    /// The names of what is in a folder.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root().join(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

/// The program, outside any book and without what cargo tells a test.
pub(crate) fn guide(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_guide"));
    command.args(arguments).env_remove("CARGO_MANIFEST_DIR").stdin(Stdio::null());
    command
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The program while it runs. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        forward(child.stdout.take().unwrap(), sender.clone());
        forward(child.stderr.take().unwrap(), sender);
        Running { child, lines, seen: Vec::new() }
    }

    /// Waits for a line that contains `part`, on either stream.
    pub(crate) fn line(&mut self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(_) => panic!("no line with `{part}`; there were:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Waits until both servers, or the one there is, can be reached.
    pub(crate) fn book(&mut self) -> SocketAddr {
        let line = self.line("http://");
        let addr = line.split("http://").nth(1).unwrap().split_whitespace().next().unwrap();
        addr.parse().unwrap_or_else(|_| panic!("no address in `{line}`"))
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    pub(crate) fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        // The streams end with the program, so this waits without asking again and again.
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.seen.push(line);
        }
        assert!(Instant::now() < deadline, "it did not end; it printed:\n{}", self.seen.join("\n"));
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward(stream: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
}
