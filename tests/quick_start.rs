//! The quick start, followed to the letter in an empty directory.
//!
//! The manifest, the program and the output are taken from the page. Only the directory that holds the clone is written
//! in full, because a clone may have any name.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

const PAGE: &str = "book/src/tutorial/quick-start.md";

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

#[test]
fn the_quick_start_prints_what_the_page_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join(PAGE)).expect("the chapter is there");
    let (_, manifest) = block(&page, "## Make a project", "toml");
    let (program_line, program) = block(&page, "## Write the program", "rust");
    let (output_line, expected) = block(&page, "## Run it", "text");

    // Outside of the repository: inside it, cargo would take the project for a member of the workspace.
    let project = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(project.path().join("src")).expect("an empty directory");
    let clone = root.display().to_string().replace('\\', "/");
    assert!(manifest.contains("../connection-pool-guide"), "{PAGE}: the manifest has no path dependency");
    fs::write(project.path().join("Cargo.toml"), manifest.replace("../connection-pool-guide", &clone))
        .unwrap();
    fs::write(project.path().join("src/main.rs"), program).unwrap();
    // The versions that everything else here is tested with, so that nothing has to be downloaded again.
    fs::copy(root.join("Cargo.lock"), project.path().join("Cargo.lock")).unwrap();

    let run = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["run", "--quiet"])
        .current_dir(project.path())
        .env("CARGO_TARGET_DIR", root.join("target/quick-start"))
        .output()
        .expect("cargo runs");
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{PAGE}:{program_line}: the program fails:\n{stderr}");
    let stdout = String::from_utf8_lossy(&run.stdout);
    assert!(
        stdout == expected,
        "{PAGE}:{output_line}: the page shows\n{expected}\nbut the program prints\n{stdout}\nCorrect the page."
    );
}
