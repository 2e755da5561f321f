//! Hands skeptic a copy of every chapter in which only complete programs are Rust.
//!
//! Skeptic names its tests after the file's stem alone, so the copies carry their whole path in it. Their lines are the
//! chapter's lines: `tutorial_tour_line_7` is line 7 of `book/src/tutorial/tour.md`.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let package = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let root = Path::new(&package).join("../..").canonicalize().expect("the repository");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../../book/src");
    println!("cargo:rerun-if-changed=../../README.md");

    let (mut copies, mut names) = (Vec::new(), Vec::new());
    for source in snippets::sources(&root).expect("book/src can be read") {
        let text = fs::read_to_string(&source.path).expect(&source.name);
        let copy = snippets::for_programs(&text).unwrap_or(text);
        let path = out.join(format!("{}.md", snippets::module_name(&source.name)));
        snippets::write_if_changed(&path, &copy).expect("OUT_DIR can be written");
        // Skeptic makes cargo watch the copies. As old as their chapters, they do not ask for a second build.
        let age = fs::metadata(&source.path).and_then(|chapter| chapter.modified()).expect(&source.name);
        fs::File::options()
            .append(true)
            .open(&path)
            .and_then(|copy| copy.set_modified(age))
            .expect("the copy");
        copies.push(path);
        names.push(source.name);
    }
    skeptic::generate_doc_tests(&copies);
    let generated = fs::read_to_string(out.join("skeptic-tests.rs")).expect("skeptic wrote its tests");
    let programs = format!("const GENERATED_IN: &str = {package:?};\n{}", placed(&generated, &names));
    snippets::write_if_changed(&out.join("programs.rs"), &programs).expect("OUT_DIR can be written");
}

/// Skeptic's tests, each of which says where in the book it stands when it fails.
fn placed(generated: &str, names: &[String]) -> String {
    let mut tests = String::new();
    for line in generated.lines().filter(|line| !line.starts_with("extern crate")) {
        tests.push_str(line);
        tests.push('\n');
        let Some(test) = line.strip_prefix("#[test] fn ").and_then(|rest| rest.strip_suffix("() {")) else {
            continue;
        };
        let (_, fence) = test.rsplit_once("_line_").expect("skeptic names tests by their line");
        let name = names
            .iter()
            .filter(|name| test.starts_with(&snippets::module_name(name)))
            .max_by_key(|name| name.len())
            .expect("skeptic names tests by their file");
        tests.push_str(&format!("    let _place = Place(\"{name}:{fence}\");\n"));
    }
    tests
}
