//! The quick start, followed to the letter in an empty directory.
//!
//! The manifest, the program and the output are taken from the page. Only the directory that holds the clone is written
//! in full, because a clone may have any name.

use std::fs;
use std::path::Path;
use std::process::Output;

use book_checks::cargo;
use poolhouse_echo::EchoServer;

const PAGE: &str = "book/src/tutorial/quick-start.md";
const OWN_SERVER: &str = "(\"127.0.0.1\", 5555)";

/// The first block with this tag after `heading`, and the line on which it begins.
fn block(page: &str, heading: &str, tag: &str) -> (usize, String) {
    let fence = format!("```{tag}");
    let mut lines = page.lines().enumerate().skip_while(|(_, line)| *line != heading);
    let Some((start, _)) = lines.find(|(_, line)| *line == fence) else {
        panic!("{PAGE}: no {fence} block after \"{heading}\": the test needs one to follow the page");
    };
    let body = lines.map(|(_, line)| line).take_while(|line| *line != "```");
    (start + 1, body.map(|line| format!("{line}\n")).collect())
}

/// An empty directory becomes a project, with the manifest of the page.
fn project(root: &Path, page: &str) -> tempfile::TempDir {
    let (_, manifest) = block(page, "## Make a project", "toml");
    // Outside of the repository: inside it, cargo would take the project for a member of the workspace.
    let project = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(project.path().join("src")).expect("an empty directory");
    let clone = root.display().to_string().replace('\\', "/");
    assert!(manifest.contains("../connection-pool-guide"), "{PAGE}: the manifest has no path dependency");
    fs::write(project.path().join("Cargo.toml"), manifest.replace("../connection-pool-guide", &clone))
        .unwrap();
    // The versions that everything else here is tested with, so that nothing has to be downloaded again.
    fs::copy(root.join("Cargo.lock"), project.path().join("Cargo.lock")).unwrap();
    project
}

fn cargo_run(root: &Path, project: &Path, program: &str) -> Output {
    fs::write(project.join("src/main.rs"), program).unwrap();
    cargo::as_reader(root, project).args(["run", "--quiet"]).output().expect("cargo runs")
}

#[test]
fn the_quick_start_prints_what_the_page_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join(PAGE)).expect("the chapter is there");
    let (program_line, program) = block(&page, "## Write the program", "rust");
    let (output_line, expected) = block(&page, "## Run it", "text");

    let project = project(root, &page);
    let run = cargo_run(root, project.path(), &program);
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{PAGE}:{program_line}: the program fails:\n{stderr}");
    let stdout = String::from_utf8_lossy(&run.stdout);
    assert!(
        stdout == expected,
        "{PAGE}:{output_line}: the page shows\n{expected}\nbut the program prints\n{stdout}\nCorrect the page."
    );

    // The same program, with a server that is there and then is not.
    let program = with_own_server(&page, &program);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(EchoServer::start()).expect("a server");
    let address = format!("({:?}, {})", server.host(), server.port());
    let program = program.replace(OWN_SERVER, &address);
    let run = cargo_run(root, project.path(), &program);
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && stderr.is_empty(), "{PAGE}: with a server of your own:\n{stderr}");
    assert_eq!(String::from_utf8_lossy(&run.stdout), expected, "{PAGE}: with a server of your own");
    let gone = format!("cannot connect to {}", server.addr());
    drop(server);
    let run = cargo_run(root, project.path(), &program);
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success() && stderr.starts_with(&gone), "{PAGE}: without its server:\n{stderr}");
}

/// What a reader has who does as the section "Use a server of your own" says.
fn with_own_server(page: &str, program: &str) -> String {
    let (_, lines) = block(page, "## Use a server of your own", "rust");
    let shown: String =
        lines.lines().filter(|line| !line.starts_with("# ")).map(|line| format!("    {line}\n")).collect();
    assert!(shown.contains(OWN_SERVER), "{PAGE}: where does the server listen?");
    for said in ["delete the line `use poolhouse_echo::EchoServer;`", "from `let server` to\n`let pool`"] {
        assert!(page.contains(said), "{PAGE}: this test follows \"{said}\"");
    }
    let program = program.replace("use poolhouse_echo::EchoServer;\n", "");
    let start = program.find("    let server").expect("the first line to replace");
    let last = start + program[start..].find("    let pool").expect("the last line to replace");
    let end = last + program[last..].find('\n').expect("its end") + 1;
    format!("{}{shown}{}", &program[..start], &program[end..])
}
