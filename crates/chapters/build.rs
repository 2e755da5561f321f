//! Makes a module of every chapter, so that rustdoc runs every snippet in it. A new chapter needs no entry anywhere.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    // Read as the script runs, not as it compiles: in a target folder shared by two clones the compiled script may be
    // the other's.
    let package = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let root = Path::new(&package).join("../..").canonicalize().expect("the repository");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // Run every time, for which cargo needs a file that is not there. It costs nothing, and a list of chapters that is
    // out of date would go unnoticed.
    println!("cargo:rerun-if-changed=always");

    let mut modules = String::new();
    for source in snippets::sources(&root).expect("book/src can be read") {
        let text = fs::read_to_string(&source.path).expect(&source.name);
        // The real file wherever possible: a compile error then points into it.
        let read = match snippets::for_doctests(&text) {
            None => source.path,
            Some(copy) => {
                let path = out.join(&source.name);
                snippets::write_if_changed(&path, &copy).expect("OUT_DIR can be written");
                path
            }
        };
        let module = snippets::module_name(&source.name);
        modules.push_str(&format!("#[doc = include_str!({read:?})]\npub mod {module} {{}}\n"));
    }
    snippets::write_if_changed(&out.join("chapters.rs"), &modules).expect("OUT_DIR can be written");
}
