//! Serves the book's folder of the lab, and one page of a test.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

/// The folder that the book serves as it is.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../book/src/lab")
}

/// The folder of the book's style sheets and scripts.
fn theme() -> PathBuf {
    folder().join("../../theme")
}

/// The module that the book ships, or another one that is to do the same.
fn module() -> Vec<u8> {
    let path = env::var_os("POOL_LAB_MODULE").map_or_else(|| folder().join("pool-lab.wasm"), PathBuf::from);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Serves a page with this body beside the files of the lab. Returns the page's address.
pub(crate) fn serve(body: &str) -> String {
    let page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><link rel=icon href=i.svg><title>A lab</title>\
         <style>:root {{ --fg: #222; --bg: #fff; --links: #14c; --icons: #777; --table-border-color: #ccc; }}</style>\
         <link rel=stylesheet href=guide.css><body>{body}"
    );
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let page = page.clone();
            thread::spawn(move || answer(stream, &page));
        }
    });
    format!("http://{address}/page.html")
}

fn answer(mut stream: TcpStream, page: &str) {
    let mut lines = BufReader::new(stream.try_clone().expect("a handle")).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    let name = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    // Where the book has them, for the script of its pages.
    let name = name.strip_prefix("lab/").unwrap_or(name).to_owned();
    // All of the head, or closing would reset the connection.
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let extension = Path::new(&name).extension().and_then(|extension| extension.to_str());
    let (kind, body) = match extension {
        Some("html") => ("text/html", page.as_bytes().to_vec()),
        Some("js") => {
            let file = if name == "guide.js" { theme().join(name) } else { folder().join(name) };
            ("text/javascript", fs::read(file).unwrap_or_default())
        }
        Some("css") => ("text/css", fs::read(theme().join(name)).unwrap_or_default()),
        Some("wasm") => ("application/wasm", module()),
        // What browsers ask for by themselves.
        _ => ("image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec()),
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}
