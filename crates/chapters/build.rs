//! Makes a module of every chapter, so that rustdoc runs every snippet in it. A new chapter needs no entry anywhere.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    println!("cargo:rerun-if-changed={}", root.join("book/src").display());
    println!("cargo:rerun-if-changed={}", root.join("README.md").display());

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
