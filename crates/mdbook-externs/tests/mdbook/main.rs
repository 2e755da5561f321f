//! `mdbook test`, the real one, on small books that use crates. See `fixture` for how.

mod contract;
mod fixture;
mod outside;

use std::fs;

use fixture::{Fixture, snippet};
use mdbook_driver::MDBook;

/// Not a test of its own: the other tests run it in a child process, to read what mdBook prints.
#[test]
#[ignore = "the other tests run it"]
fn stock_mdbook() {
    let Some(root) = std::env::var_os("EXTERNS_BOOK") else { return };
    let chapter = std::env::var("EXTERNS_CHAPTER").unwrap();
    let mut book = MDBook::load(root).unwrap();
    let chapter = (!chapter.is_empty()).then_some(chapter.as_str());
    book.test_chapter(vec![], chapter).unwrap();
}

#[test]
fn a_snippet_uses_the_crate_and_is_run() {
    let fixture = Fixture::new();
    let trace = fixture.root().join("trace");
    fixture.snippet(&format!("std::fs::write({trace:?}, water_tank::level().to_string()).unwrap();"));
    fixture.mdbook_test().passes();
    assert_eq!(fs::read_to_string(trace).unwrap(), "7");
}

#[test]
fn a_failing_snippet_is_named_by_source_file_and_line() {
    let fixture = Fixture::new();
    fixture.chapters(&[
        ("good.md", &snippet("assert_eq!(water_tank::level(), 7);")),
        (
            "part/bad.md",
            &format!("{}\n{}", snippet("let fine = 1;"), snippet("let y = 1;\nlet x: u8 = \"text\";")),
        ),
    ]);
    let file = fixture.root().join("src").join("part").join("bad.md");
    let report = fixture.mdbook_test();
    // The block begins in line 7, the wrong line of it is the ninth.
    report.fails_with(&[&format!("{} - (line 7)", file.display()), &format!("{}:9:13", file.display())]);
}

#[test]
fn a_renamed_function_fails_until_it_is_renamed_back() {
    let fixture = Fixture::new();
    fixture.snippet("water_tank::level();");
    fixture.mdbook_test().passes();
    fixture.write("lib.rs", "pub fn height() -> u32 { 7 }");
    fixture.mdbook_test().fails_with(&["cannot find function `level`", "chapter.md - (line 2)"]);
    fixture.write("lib.rs", "pub fn level() -> u32 { 7 }");
    fixture.mdbook_test().passes();
}

#[test]
#[ignore = "long: builds a book or two"]
fn features_can_be_flipped_to_and_fro() {
    let mut fixture = Fixture::new();
    for (settings, level) in [("", 7), ("features = ['full']", 9), ("", 7)] {
        fixture.settings(settings);
        fixture.snippet(&format!("assert_eq!(water_tank::level(), {level});"));
        fixture.mdbook_test().passes();
    }
    fixture.settings("features = ['missing']");
    fixture.mdbook_test().fails_with(&["does not contain this feature: missing"]);
}

#[test]
#[ignore = "long: builds a book or two"]
fn compiler_flags_can_be_flipped_to_and_fro() {
    let mut fixture = Fixture::new();
    fixture.write("lib.rs", "pub fn flagged() -> bool { cfg!(flagged) }");
    for (flags, expected) in [("", false), ("--cfg flagged", true), ("", false)] {
        fixture.environment("RUSTFLAGS", flags);
        fixture.snippet(&format!("assert_eq!(water_tank::flagged(), {expected});"));
        fixture.mdbook_test().passes();
    }
}

#[test]
#[ignore = "long: builds a book or two"]
fn dependencies_can_be_used_by_the_names_that_the_package_gives_them() {
    let fixture = Fixture::new();
    fixture.package("pump", "", "pub fn rate() -> u32 { 3 }");
    fixture.package("valve", "", "pub fn open() {}");
    fixture.write(
        "label/lib.rs",
        "use proc_macro::TokenStream;\n\
         #[proc_macro] pub fn five(_: TokenStream) -> TokenStream { \"5\".parse().unwrap() }",
    );
    fixture.write(
        "label/Cargo.toml",
        "[package]\nname = \"label\"\nedition = \"2021\"\n[lib]\npath = \"lib.rs\"\nproc-macro = true\n",
    );
    fixture.package(
        "meter",
        "[dependencies]\nvalve = { path = \"../valve\" }",
        "pub use valve::open as read;",
    );
    fixture.manifest(
        "[dependencies]\nmotor = { path = \"pump\", package = \"pump\" }\nlabel = { path = \"label\" }\n\
         meter = { path = \"meter\" }",
    );
    fixture.snippet("assert_eq!(motor::rate() + label::five!(), 8); meter::read(); water_tank::level();");
    fixture.mdbook_test().passes();
    // An indirect dependency is found by rustdoc when it links, but is not the snippet's to use.
    fixture.snippet("valve::open();");
    fixture.mdbook_test().fails_with(&["`valve`"]);
}

#[test]
#[ignore = "long: builds a book or two"]
fn of_a_dependency_that_the_build_script_uses_too_snippets_get_the_librarys() {
    let fixture = Fixture::new();
    fixture.package("pump", "", "pub fn rate() -> u32 { if cfg!(feature = \"more\") { 4 } else { 3 } }");
    fixture.write("build.rs", "fn main() { assert_eq!(pump::rate(), 4); }");
    fixture.manifest(
        "[dependencies]\npump = { path = \"pump\" }\n\
         [build-dependencies]\npump = { path = \"pump\", features = [\"more\"] }",
    );
    fixture.snippet("assert_eq!(pump::rate(), 3);");
    fixture.mdbook_test().passes();
}

#[test]
#[ignore = "long: builds a book or two"]
fn the_package_can_be_any_of_the_workspace_elsewhere() {
    let mut fixture = Fixture::new();
    fixture.package("pump", "", "pub fn rate() -> u32 { 3 }");
    fixture.write("Cargo.toml", "[workspace]\nmembers = ['pump']");
    fixture.snippet("assert_eq!(pump::rate(), 3);");
    fixture
        .mdbook_test()
        .fails_with(&["set `package` in book.toml to one of the workspace's packages: pump"]);
    fixture.settings("package = 'pumps'");
    fixture.mdbook_test().fails_with(&["no package `pumps` in the workspace, which has: pump"]);
    fixture.settings("package = 'pump'");
    fixture.mdbook_test().passes();

    fs::rename(fixture.root().join("Cargo.toml"), fixture.root().join("pump/unused.toml")).unwrap();
    fixture.mdbook_test().fails_with(&["set `manifest-path`"]);
    fixture.settings("manifest-path = 'pump/Cargo.toml'\ntarget-dir = 'built here'");
    fixture.mdbook_test().passes();
    assert!(fixture.root().join("built here").is_dir());
}

#[test]
fn a_crate_that_does_not_build_shows_the_compilers_error() {
    let fixture = Fixture::new();
    fixture.snippet("water_tank::level();");
    fixture.write("lib.rs", "pub fn level() -> u32 { \"text\" }");
    fixture.mdbook_test().fails_with(&[
        "error[E0308]: mismatched types",
        "lib.rs:1:25",
        "the package `water-tank` does not build, so no snippet was tested",
    ]);
}

#[test]
fn an_unknown_key_is_an_error() {
    let mut fixture = Fixture::new();
    fixture.snippet("");
    fixture.settings("packages = ['water-tank']");
    fixture.mdbook_test().fails_with(&["[preprocessor.externs] in book.toml is wrong", "`packages`"]);
}

#[test]
#[ignore = "long: builds a book or two"]
fn the_edition_is_the_books() {
    let mut fixture = Fixture::new();
    let only_2021 = "let gen = water_tank::level(); assert_eq!(gen, 7);";
    let only_2024 = "if let 7 = water_tank::level() && true {} else { unreachable!() }";
    for (edition, good, bad) in [("2021", only_2021, only_2024), ("2024", only_2024, only_2021)] {
        fixture.edition(edition);
        fixture.snippet(good);
        fixture.mdbook_test().passes();
        fixture.snippet(bad);
        fixture.mdbook_test().fails_with(&["chapter.md - (line 2)"]);
    }
}

#[test]
#[ignore = "long: builds a book or two"]
fn chapters_of_one_name_in_two_folders_are_both_tested() {
    let fixture = Fixture::new();
    let chapter = |folder: &str| {
        fixture.write(format!("src/{folder}/code.rs"), "assert_eq!(water_tank::level(), 7);");
        (format!("{folder}/same.md"), snippet("{{#include code.rs}}"))
    };
    let (one, two) = (chapter("one"), chapter("two"));
    fixture.chapters(&[(&one.0, &one.1), (&two.0, &two.1), ("same.md", &snippet("water_tank::level();"))]);
    fixture.mdbook_test().passes();
    for folder in ["one", "two"] {
        let code = fixture.root().join(format!("src/{folder}/code.rs"));
        let good = fs::read_to_string(&code).unwrap();
        fs::write(&code, "assert_eq!(water_tank::level(), 8);").unwrap();
        let place = std::path::Path::new(folder).join("same.md");
        fixture.mdbook_test().fails_with(&[&format!("{} - (line 2)", place.display()), "1 failed"]);
        fs::write(&code, good).unwrap();
    }
    fixture.mdbook_test().passes();
}

#[test]
#[ignore = "long: builds a book or two"]
fn a_copy_that_is_no_longer_wanted_is_removed() {
    let fixture = Fixture::new();
    fixture.write("src/code.rs", "water_tank::level();");
    let text = snippet("{{#include code.rs}}");
    fixture.chapters(&[("stays.md", &text), ("goes.md", &text)]);
    fixture.mdbook_test().passes();
    assert_eq!(fixture.copies().len(), 2);
    fixture.chapters(&[("stays.md", &text)]);
    fixture.mdbook_test().passes();
    let copies = fixture.copies();
    assert!(copies.len() == 1 && copies[0].ends_with("stays.md"), "{copies:?}");
}

#[test]
#[ignore = "long: builds a book or two"]
fn spaces_in_paths_need_no_care() {
    let fixture = Fixture::named("my first book");
    fixture.write("src/code.rs", "assert_eq!(water_tank::level(), 7);");
    fixture.chapters(&[
        ("part one/chapter one.md", &snippet("water_tank::level();")),
        ("part one/chapter two.md", &snippet("{{#include ../code.rs}}")),
    ]);
    fixture.mdbook_test().passes();
    fixture.write("src/code.rs", "assert_eq!(water_tank::level(), 8);");
    fixture.mdbook_test().fails_with(&["chapter two.md - (line 2)", "1 failed"]);
}

#[test]
fn one_chapter_can_be_tested_by_its_name() {
    let fixture = Fixture::new();
    fixture.chapters(&[
        ("good.md", &snippet("water_tank::level();")),
        ("bad.md", &snippet("water_tank::none();")),
    ]);
    fixture.mdbook_test_chapter("good").passes();
    fixture.mdbook_test_chapter("bad").fails_with(&["bad.md - (line 2)"]);
    // The path is no longer the chapter's: a limit that the README states.
    fixture.mdbook_test_chapter("good.md").fails_with(&["Chapter not found: good.md"]);
}

#[test]
#[ignore = "long: builds a book or two"]
fn two_runs_at_a_time_do_not_disturb_each_other() {
    let fixture = Fixture::new();
    let names: Vec<_> = (0..6).map(|number| format!("chapter{number}.md")).collect();
    fixture.write("src/code.rs", "assert_eq!(water_tank::level(), 7);");
    let text = snippet("{{#include code.rs}}");
    fixture.chapters(&names.iter().map(|name| (name.as_str(), text.as_str())).collect::<Vec<_>>());
    let runs = [(); 3].map(|()| fixture.spawn(None));
    for run in runs {
        run.finish().passes();
    }
}
