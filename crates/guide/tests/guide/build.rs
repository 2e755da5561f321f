//! Where `build` puts the book, and what it leaves alone.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::fixture::{SmallBook, stderr};

#[test]
fn only_a_book_is_replaced() {
    let book = SmallBook::new();
    book.write("work/notes.txt", "precious\n");
    let output = book.run(&["build", "--dest-dir", "work"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("not a built book"), "{}", stderr(&output));
    assert_eq!(book.read("work/notes.txt"), "precious\n");
    let output = book.run(&["build", "--dest-dir", "public", "--site-url", "/small/"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(book.read("public/404.html").contains(r#"<base href="/small/">"#));
}

/// A crawler finds each page once, under the address at which it will be, and a reader the page's source.
#[test]
fn a_published_book_says_where_its_pages_are() {
    let book = SmallBook::new();
    let output = book.run(&["build", "--dest-dir", "public", "--site-url", "/small/"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let sitemap = book.read("public/sitemap.xml");
    let home = env!("CARGO_PKG_HOMEPAGE");
    assert!([home, env!("CARGO_PKG_REPOSITORY")].iter().all(|address| address.starts_with("https://")));
    let pages: Vec<&str> = sitemap.lines().filter(|line| line.contains("<loc>")).collect();
    assert!(!pages.is_empty());
    for page in pages {
        let path = page.split_once(&format!("<loc>{home}/small/")).unwrap_or_else(|| panic!("{page}")).1;
        let path = path.split_once("</loc>").unwrap().0;
        let html = book.read(&format!("public/{path}"));
        assert!(html.contains(&format!("rel=\"canonical\" href=\"{home}/small/{path}\"")), "{path}");
        assert!(html.contains(&format!("href=\"{}/edit/main/", env!("CARGO_PKG_REPOSITORY"))), "{path}");
    }
    assert!(!sitemap.contains("404.html") && !sitemap.contains("print.html"));
}

/// Every file below a folder, with its text.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((
                path.display().to_string(),
                String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned(),
            ));
        }
    }
    found.sort();
    found
}

/// Builds into `folder`, which must be refused with `complaint`, and with every file as it was.
#[track_caller]
fn refuses(book: &SmallBook, folder: &str, complaint: &str) {
    let before = files(book.root());
    let output = book.run(&["build", "--dest-dir", folder]);
    assert_eq!(output.status.code(), Some(1), "{folder}");
    let error = stderr(&output);
    assert!(error.contains(complaint) && error.contains("--dest-dir"), "{folder}: {error}");
    assert_eq!(files(book.root()), before, "{folder}");
}

/// Builds the book into `public`, and returns the name and the text of the marker in it.
fn marker(book: &SmallBook) -> (String, String) {
    assert!(book.run(&["build", "--dest-dir", "public"]).status.success());
    let marks = |(_, text): &(String, String)| text.starts_with("Made by `cargo guide build`");
    let (path, text) = files(&book.root().join("public")).into_iter().find(marks).expect("a marker");
    (Path::new(&path).file_name().unwrap().to_str().unwrap().to_owned(), text)
}

/// mdBook writes `.nojekyll` into every book, and people write it into what they publish.
#[test]
fn a_folder_with_nojekyll_is_not_a_book() {
    let book = SmallBook::new();
    let mdbooks = "This file makes sure that Github Pages doesn't process mdBook's output.\n";
    for text in ["", mdbooks] {
        book.write("pages/.nojekyll", text);
        book.write("pages/CNAME", "pools.example\n");
        refuses(&book, "pages", "not a built book");
    }
}

#[test]
fn a_marker_with_another_text_is_no_marker() {
    let book = SmallBook::new();
    let (name, _) = marker(&book);
    for text in ["", "somebody else's\n"] {
        book.write(&format!("work/{name}"), text);
        refuses(&book, "work", "not a built book");
    }
}

#[test]
fn what_is_under_version_control_is_never_replaced() {
    let book = SmallBook::new();
    assert!(book.run(&["build", "--dest-dir", "pages"]).status.success());
    book.write("pages/.git/HEAD", "ref: refs/heads/pages\n");
    refuses(&book, "pages", "under version control (.git)");
    // In a worktree and in a submodule it is a file.
    fs::remove_dir_all(book.root().join("pages/.git")).unwrap();
    book.write("pages/.git", "gitdir: ../.git/worktrees/pages\n");
    refuses(&book, "pages", "under version control (.git)");
}

/// Even if somebody has copied a built book there, marker and all.
#[test]
fn the_books_sources_are_never_replaced() {
    let book = SmallBook::new();
    let (name, text) = marker(&book);
    for folder in ["book/src", "book/src/../src/", "book", ".", "book/theme"] {
        book.write(&format!("{folder}/{name}"), &text);
        refuses(&book, folder, "from which the book is made");
    }
}

#[test]
fn a_file_is_no_destination() {
    let book = SmallBook::new();
    book.write("public", "precious\n");
    refuses(&book, "public", "is not a folder");
}

#[cfg(unix)]
#[test]
fn a_link_is_no_destination() {
    let book = SmallBook::new();
    assert!(book.run(&["build", "--dest-dir", "public"]).status.success());
    for (link, to) in [("link", "public"), ("dangling", "nowhere"), ("to-a-file", "book.toml")] {
        let path = book.root().join(link);
        std::os::unix::fs::symlink(to, &path).unwrap();
        for spelt in [link.to_owned(), format!("{link}/")] {
            let output = book.run(&["build", "--dest-dir", &spelt]);
            assert_eq!(output.status.code(), Some(1), "{spelt}");
            assert!(stderr(&output).contains("is a link"), "{spelt}: {}", stderr(&output));
            assert_eq!(fs::read_link(&path).unwrap(), Path::new(to), "{spelt}");
        }
    }
    assert!(!book.root().join("nowhere").exists());
}

/// Two of them in one moment: the end of one met the end of the other. The test of `destination` does it more often.
#[test]
fn two_builds_at_a_time_both_succeed() {
    let book = SmallBook::new();
    let builds = [(); 4]
        .map(|()| book.command(&["build"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    for build in builds {
        let output = build.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    assert_eq!(book.names("target"), ["book"]);
    assert!(book.read("target/book/index.html").contains("first words"));
}

/// However the folder of cargo's results was chosen.
#[test]
fn the_crates_documentation_is_found_where_cargo_puts_it() {
    let book = SmallBook::with_crates();
    for variable in [None, Some("CARGO_TARGET_DIR"), Some("CARGO_BUILD_TARGET_DIR")] {
        let mut command = book.command(&["build"]);
        if let Some(variable) = variable {
            command.env(variable, "elsewhere");
        } else {
            book.write(".cargo/config.toml", "[build]\ntarget-dir = \"configured\"\n");
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{variable:?}: {}", stderr(&output));
        assert!(book.read("target/book/api/poolhouse/index.html").contains("What it is for"), "{variable:?}");
        let folder = if variable.is_some() { "elsewhere" } else { "configured" };
        fs::remove_dir_all(book.root().join(folder)).unwrap();
    }
}
