//! `serve`: pages, reloads, ports, and the end.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::fixture::{Running, SmallBook, stderr};
use crate::http::{Reload, ask, get, path};

fn serve(book: &SmallBook) -> Running {
    Running::start(book.command(&["--port", "0", "--echo-port", "0"]))
}

#[test]
fn pages_are_served_and_missing_ones_get_the_books_own_page() {
    let book = SmallBook::new();
    let mut running = serve(&book);
    let addr = running.book();
    assert!(addr.ip().is_loopback(), "{addr}");

    let page = get(addr, "/");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("first words") && page.body.contains("first output"));
    assert!(page.head.contains("content-type: text/html") && page.head.contains("cache-control: no-store"));

    let missing = get(addr, "/deep/er/nothing.html");
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("Document not found"), "{}", missing.body);
    assert!(missing.body.contains(r#"<base href="/">"#), "its links must work at any depth");
}

#[test]
fn nothing_outside_the_book_is_served() {
    let book = SmallBook::new();
    let mut running = serve(&book);
    let addr = running.book();
    for path in [
        "/../../../../secret.txt",
        "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret.txt",
        "/..%2f..%2f..%2f..%2fsecret.txt",
        "/css/../../../../../secret.txt",
        "//etc/hostname",
        "/..%5c..%5c..%5csecret.txt",
    ] {
        let reply = get(addr, path);
        assert!([400, 404].contains(&reply.status), "{path}: {}", reply.status);
        assert!(!reply.body.contains("not for readers"), "{path}");
    }
}

/// DNS rebinding: a page of somebody else's gives its own name the address of this machine.
#[test]
fn only_this_machine_by_its_own_names_is_answered() {
    let book = SmallBook::new();
    let mut running = serve(&book);
    let addr = running.book();
    let port = addr.port();
    for host in ["127.0.0.1", "localhost", "LocalHost", "[::1]"] {
        for authority in [host.to_owned(), format!("{host}:{port}")] {
            assert_eq!(ask(addr, "/", &format!("Host: {authority}\r\n")).status, 200, "{authority}");
        }
    }
    for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "127.0.0.1:x", ""] {
        for path in ["/", "/api/poolhouse/index.html", "/__reload/1"] {
            assert_eq!(ask(addr, path, &format!("Host: {host}\r\n")).status, 403, "{host}{path}");
        }
    }
    for (origin, status) in [
        ("http://evil.example", 403),
        ("https://127.0.0.1.evil.example", 403),
        ("null", 403),
        ("http://localhost:1", 400),
    ] {
        let headers = format!("Host: {addr}\r\nOrigin: {origin}\r\n");
        // From here it is let through, and refused only because it asks for no websocket.
        assert_eq!(ask(addr, "/__reload/1", &headers).status, status, "{origin}");
    }
}

#[test]
fn odd_paths_are_refused_and_lead_nowhere_else() {
    let book = SmallBook::new();
    let mut running = serve(&book);
    let addr = running.book();
    for (path, status) in [("//css", 404), ("//evil.example/..", 404)] {
        let reply = get(addr, path);
        assert_eq!(reply.status, status, "{path}");
        assert!(!reply.head.contains("location:"), "{path}: {}", reply.head);
    }
    for length in [300, 2000, 60_000] {
        let status = get(addr, &format!("/{}", "a".repeat(length))).status;
        assert!([404, 414].contains(&status), "{length}: {status}");
    }
}

#[test]
fn the_crates_documentation_is_reached_from_every_spelling() {
    let book = SmallBook::with_crates();
    book.write("target/doc/poolhouse/index.html", "the crate's page\n");
    let mut running = serve(&book);
    let addr = running.book();
    for start in ["/api", "/api/", "/api/poolhouse", "/api/poolhouse/"] {
        let mut reply = get(addr, start);
        while let Some((_, location)) = reply.head.split_once("location: ") {
            reply = get(addr, location.lines().next().unwrap());
        }
        assert_eq!(reply.status, 200, "{start}");
    }
}

#[test]
fn every_kind_of_edit_reloads_the_page() {
    let book = SmallBook::new();
    let mut running = serve(&book);
    let addr = running.book();
    let edits: [(&str, &dyn Fn()); 4] = [
        ("other words", &|| book.overwrite("book/src/one.md", "# One\n\nother words")),
        ("later output", &|| book.overwrite("examples/one.txt", "later output\n")),
        ("third output", &|| book.write("examples/one.txt", "third output\n")),
        ("Renamed", &|| book.write("book.toml", &book.read("book.toml").replace("Small", "Renamed"))),
    ];
    for (expected, edit) in edits {
        let before = get(addr, "/").body;
        assert!(!before.contains(expected), "{expected}");
        let mut reload = Reload::of(addr, &before);
        edit();
        assert_eq!(reload.message(), "reload", "{expected}");
        assert!(get(addr, "/").body.contains(expected), "{expected}");
    }
}

#[test]
fn a_page_that_is_out_of_date_already_reloads_at_once() {
    let book = SmallBook::new();
    let mut running = serve(&book);
    let addr = running.book();
    let old = get(addr, "/").body;
    book.write("book/src/one.md", "second words\n");
    running.line("Rebuilt");
    assert_eq!(Reload::of(addr, &old).message(), "reload");
}

#[test]
fn building_the_book_beside_it_rebuilds_nothing() {
    let book = SmallBook::new();
    let mut running = serve(&book);
    let addr = running.book();
    assert_eq!(path(&get(addr, "/").body), "__reload/1");
    // Next to a file that is watched. The build then takes longer than a burst of events is waited for.
    book.write("examples/unrelated.txt", "no chapter includes this\n");
    let built = book.run(&["build"]);
    assert!(built.status.success(), "{}", stderr(&built));
    book.write("book/src/one.md", "second words\n");
    let mut page = String::new();
    while !page.contains("second words") {
        running.line("Rebuilt");
        page = get(addr, "/").body;
    }
    assert_eq!(path(&page), "__reload/2", "one edit, one build");
}

#[test]
fn an_error_is_printed_and_the_last_good_build_stays() {
    let book = SmallBook::new();
    let mut running = serve(&book);
    let addr = running.book();
    let faults = [
        ("book/src/SUMMARY.md", "- [One](one.md)\n- [Gone](gone.md)\n", "gone.md"),
        ("book/src/one.md", "{{#include nowhere.txt}}\n", "nowhere.txt"),
        ("book.toml", "[book\n", "book.toml"),
    ];
    for (file, broken, complaint) in faults {
        let good = book.read(file);
        book.write(file, broken);
        running.line(complaint);
        running.line("last good build");
        let page = get(addr, "/").body;
        assert!(page.contains("first words"), "{file}");
        let mut reload = Reload::of(addr, &page);
        book.write(file, &good);
        assert_eq!(reload.message(), "reload", "{file}");
    }
}

/// Reading a pipe waits for a writer. It was read on the task that serves, which answered nobody from then on, and no
/// signal.
#[cfg(unix)]
#[test]
fn a_pipe_among_the_sources_is_an_error_and_the_last_good_build_stays() {
    for name in ["pipe", "pipe.md", ".pipe", "link to the pipe.txt"] {
        let book = SmallBook::new();
        let mut running = serve(&book);
        let addr = running.book();
        let page = get(addr, "/").body;
        let pipe = if name.starts_with("link") { book.root().join("pipe") } else { book.source(name) };
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        if name.starts_with("link") {
            std::os::unix::fs::symlink(&pipe, book.source(name)).unwrap();
        }
        book.write("book/src/one.md", "second words\n");
        running.line(name);
        running.line("last good build");
        assert!(get(addr, "/").body.contains("first words"), "{name}");
        let output = book.run(&["build"]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(stderr(&output).contains("neither a file nor a folder"), "{name}: {}", stderr(&output));

        let mut reload = Reload::of(addr, &page);
        std::fs::remove_file(book.source(name)).unwrap();
        book.write("book/src/one.md", "third words\n");
        assert_eq!(reload.message(), "reload", "{name}");
        running.signal("INT");
        assert_eq!(running.end().code(), Some(0), "{name}");
    }
}

#[test]
fn a_book_that_cannot_be_built_is_not_served() {
    let book = SmallBook::new();
    book.write("book/src/SUMMARY.md", "- [Gone](gone.md)\n");
    let output = book.run(&["--port", "0", "--no-echo"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("gone.md"), "{}", stderr(&output));
    assert!(!book.root().join("book/src/gone.md").exists(), "a slip makes no chapter");
}

#[test]
fn a_taken_port_leads_to_the_next_and_both_are_named() {
    let book = SmallBook::new();
    let holders = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [taken, echo] = holders.each_ref().map(|holder| holder.local_addr().unwrap().port());
    let arguments = ["serve", "--port", &taken.to_string(), "--echo-port", &echo.to_string()];
    let mut running = Running::start(book.command(&arguments));
    let line = running.line("http://");
    assert!(line.contains(&format!("port {taken} is taken")), "{line}");
    let got: u16 = line.split("127.0.0.1:").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(got > taken, "{line}");
    let line = running.line("Echo server");
    assert!(line.contains(&format!("port {echo} is taken")), "{line}");
    assert_eq!(get(([127, 0, 0, 1], got).into(), "/").status, 200);
}

#[test]
fn the_echo_server_echoes() {
    let book = SmallBook::new();
    let mut running = serve(&book);
    let line = running.line("Echo server");
    let mut stream = TcpStream::connect(line.split_whitespace().last().unwrap()).unwrap();
    stream.write_all(b"\0\0\0\x05hello").unwrap();
    let mut reply = [0; 9];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"\0\0\0\x05hello");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_with_success_and_nothing_is_left() {
    for signal in ["INT", "TERM"] {
        let book = SmallBook::new();
        let mut running = serve(&book);
        let addr = running.book();
        running.line("Ctrl-C");
        // An open page must not keep it.
        let _reload = Reload::of(addr, &get(addr, "/").body);
        running.signal(signal);
        assert_eq!(running.end().code(), Some(0), "{signal}");
        assert!(book.names("target").is_empty() && book.names("temporary").is_empty(), "{signal}");
    }
}

#[cfg(unix)]
#[test]
fn a_checkout_that_cannot_be_written_to_is_served() {
    let book = SmallBook::new();
    // Permissions would not keep root out, but a file in the folder's place does.
    book.write("target", "not a folder\n");
    let mut running = serve(&book);
    let addr = running.book();
    assert!(get(addr, "/").body.contains("first words"));
    running.line("Ctrl-C");
    running.signal("INT");
    assert_eq!(running.end().code(), Some(0));
    assert_eq!(book.read("target"), "not a folder\n");
    assert!(book.names("temporary").is_empty());
}

#[cfg(unix)]
#[test]
fn what_a_killed_server_left_goes_with_the_next() {
    let book = SmallBook::new();
    let mut killed = serve(&book);
    killed.book();
    drop(killed);
    assert_eq!(book.names("target").len(), 1);
    let mut running = serve(&book);
    running.book();
    assert_eq!(book.names("target").len(), 1, "its own");
    running.line("Ctrl-C");
    running.signal("TERM");
    running.end();
    assert!(book.names("target").is_empty());
}
