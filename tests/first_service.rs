//! The chapter "Your first service", followed to the letter in an empty directory.
//!
//! The manifest, the files and the outputs are those of the page. After each step the program runs as the page says; where
//! the page shows `curl`, the service is started, and asked.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use book_checks::{cargo, masks};

const PAGE: &str = "book/src/tutorial/first-service.md";
const LISTEN: &str = "127.0.0.1:8080";

/// A fenced block of the page.
struct Block {
    line: usize,
    /// The last line of text before it.
    before: String,
    tag: String,
    code: String,
}

fn blocks(section: &str, first_line: usize) -> Vec<Block> {
    let (mut found, mut before) = (Vec::new(), String::new());
    let mut lines = section.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if let Some(tag) = line.strip_prefix("```") {
            let body = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            let code = body.map(|line| format!("{line}\n")).collect();
            found.push(Block { line: first_line + index, before: before.clone(), tag: tag.to_owned(), code });
        } else if !line.trim().is_empty() {
            before = line.to_owned();
        }
    }
    found
}

/// What mdBook shows for a block that is an include, and the anchor of it.
fn expand(root: &Path, block: &Block) -> Option<(String, Option<String>)> {
    let include = block.code.trim().strip_prefix("{{#")?.strip_suffix("}}")?;
    let (_, target) = include.split_once(' ')?;
    let (path, anchor) = target.split_once(':').map_or((target, None), |(path, name)| (path, Some(name)));
    let path = path.trim_start_matches("../");
    let text = fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let Some(anchor) = anchor else { return Some((text, None)) };
    let (start, end) = (format!("// ANCHOR: {anchor}"), format!("// ANCHOR_END: {anchor}"));
    let lines = text.lines().skip_while(|line| line.trim() != start).take_while(|line| line.trim() != end);
    let shown = lines.filter(|line| !line.contains("// ANCHOR"));
    Some((shown.map(|line| format!("{line}\n")).collect(), Some(anchor.to_owned())))
}

/// The `src/name.rs` that a line of text names.
fn file_in(text: &str) -> Option<&str> {
    let start = text.find("src/")?;
    let length = text[start..].find(".rs")?;
    Some(&text[start..start + length + 3])
}

struct Project<'a> {
    folder: tempfile::TempDir,
    root: &'a Path,
}

impl Project<'_> {
    /// Starts the service, and returns with the address at which it listens.
    fn start(&self) -> (Service, String) {
        // Not through cargo: a signal to cargo would not reach the program.
        let mut command = Command::new(cargo::reader_target(self.root).join("debug/hello-service"));
        let mut child = command.arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().expect("it starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it prints");
        let address = line.trim().strip_prefix("listening on http://").expect("it says where").to_owned();
        (Service { child, stdout }, address)
    }
}

struct Service {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of the answer to one `curl` line of the page.
fn curl(line: &str, address: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let url = words.last().and_then(|url| url.strip_prefix("http://")).expect("curl lines end in a URL");
    let path = url.strip_prefix(LISTEN).expect("curl asks the address that the page listens on");
    let data = words.iter().position(|word| *word == "--data").map(|at| words[at + 1].trim_matches('"'));
    let (method, data) = data.map_or(("GET", ""), |data| ("POST", data));
    let mut stream = TcpStream::connect(address).expect("the service listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    let head = format!("host: {address}\r\nconnection: close\r\ncontent-length: {}", data.len());
    write!(stream, "{method} {path} HTTP/1.1\r\n{head}\r\n\r\n{data}").expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{PAGE}: `{line}` gets\n{answer}");
    answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

fn compare(line: usize, expected: &str, printed: &str) {
    let fits = expected.lines().count() == printed.lines().count()
        && expected.lines().zip(printed.lines()).all(|(template, line)| masks::fits(template, line));
    assert!(fits, "{PAGE}:{line}: the page shows\n{expected}\nbut the program prints\n{printed}");
}

#[test]
fn each_step_does_what_the_page_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join(PAGE)).expect("the chapter is there");
    // Outside of the repository: inside it, cargo would take the project for a member of the workspace.
    let folder = tempfile::tempdir().expect("a temporary directory");
    let project = Project { folder, root };
    fs::create_dir(project.folder.path().join("src")).expect("an empty directory");
    // The versions that everything else here is tested with, so that nothing has to be downloaded again.
    fs::copy(root.join("Cargo.lock"), project.folder.path().join("Cargo.lock")).expect("the lock file");

    let mut first_line = 1;
    let mut steps = 0;
    for section in page.split_inclusive("\n## ") {
        let blocks = blocks(section, first_line);
        first_line += section.lines().count() - 1;
        for block in blocks.iter().filter(|block| block.tag == "toml") {
            let clone = root.display().to_string().replace('\\', "/");
            assert!(block.code.contains("../connection-pool-guide"), "{PAGE}: no path dependency");
            let lines = block.code.replace("../connection-pool-guide", &clone);
            let file = project.folder.path().join("Cargo.toml");
            // Later steps add dependencies, which are the end of the manifest.
            let before = if block.code.starts_with("[package]") {
                String::new()
            } else {
                fs::read_to_string(&file).expect("the manifest of the first step")
            };
            fs::write(file, before + &lines).expect("the manifest");
        }
        if section.starts_with("Step ") {
            step(&project, &blocks);
            steps += 1;
        }
    }
    assert_eq!(steps, 5, "{PAGE}: a section of each step begins with `## Step`");
    leaves_in_order(&page, &project);
}

fn step(project: &Project<'_>, blocks: &[Block]) {
    let root = project.root;
    for block in blocks.iter().filter(|block| block.tag == "rust") {
        let Some((code, anchor)) = expand(root, block) else { continue };
        // Other anchors show parts of a file that stands on the page as a whole.
        if anchor.is_none_or(|anchor| anchor == "all") {
            let file = file_in(&block.before).unwrap_or_else(|| {
                panic!("{PAGE}:{}: which file is this? Name it in the line before", block.line)
            });
            fs::write(project.folder.path().join(file), code).expect("a file of the project");
        }
    }

    let output = blocks.iter().find(|block| block.tag == "text").expect("each step shows what it prints");
    let (expected, _) = expand(root, output).expect("the first output is an include");
    let run =
        cargo::as_reader(root, project.folder.path()).args(["run", "--quiet"]).output().expect("cargo runs");
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{PAGE}:{}: the step fails:\n{stderr}", output.line);
    assert!(!stderr.contains("warning"), "{PAGE}:{}: the step warns:\n{stderr}", output.line);
    compare(output.line, &expected, &String::from_utf8_lossy(&run.stdout));

    let asks = |block: &&Block| block.tag == "sh" && block.code.starts_with("curl");
    let Some(at) = blocks.iter().position(|block| asks(&block)) else { return };
    let (_service, address) = project.start();
    let answers: Vec<String> =
        blocks[at].code.lines().map(|line| curl(line, &address).trim_end().to_owned()).collect();
    match blocks.get(at + 1).filter(|block| block.tag == "text") {
        Some(text) => compare(text.line, &text.code, &answers.join("\n")),
        // Nobody has acquired yet: what is counted begins at zero, and the pool is there.
        None => {
            for line in [
                "db_client_connection_max{db_client_connection_pool_name=\"echo\"} 4",
                "db_client_connection_timeouts_total{db_client_connection_pool_name=\"echo\"} 0",
            ] {
                assert!(answers.iter().all(|answer| answer.contains(line)), "{PAGE}: {answers:?}");
            }
        }
    }
}

/// Ctrl-C is a signal, which std cannot send: `kill` does.
#[cfg(unix)]
fn leaves_in_order(page: &str, project: &Project<'_>) {
    let promised = "all closed in time: true";
    assert!(page.contains(&format!("ctrl-C now prints `{promised}`")), "{PAGE}: what does ctrl-C print?");
    let (mut service, _) = project.start();
    let pid = service.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
    let mut rest = String::new();
    service.stdout.read_to_string(&mut rest).expect("it prints, and ends");
    assert_eq!(rest.trim(), promised);
    assert!(service.child.wait().expect("it ends").success());
}

#[cfg(not(unix))]
fn leaves_in_order(_: &str, _: &Project<'_>) {}
