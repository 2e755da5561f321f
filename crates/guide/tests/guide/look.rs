//! Pages as readers see them, in a real browser: on a phone and on a wide screen, with the keyboard, in each theme, on a bad
//! line, and without scripts. What is looked at is told in `tests/data/look.js`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use axum::Router;
use axum::extract::Path as PathOf;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use test_servers::{Chromium, start_or_skip};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tower_http::services::ServeDir;

use crate::search::BOOK;

const WIDTHS: [u32; 4] = [360, 768, 1280, 1920];

/// All of mdBook's. The first is looked at as a whole, of the others the colours.
const THEMES: [&str; 5] = ["light", "rust", "coal", "navy", "ayu"];

/// All pages, in all themes, on a machine with other things to do. It bounds a test that would otherwise hang.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Loads the script that looks. The picture, which comes when it has finished, keeps the browser waiting.
const LOOKS: &str = "<!DOCTYPE html><meta charset=utf-8><title>Look</title>\
    <body><script type=module src=look.js></script><img src=wait alt=\"\">";

/// The pages of the book, by their paths in its folder: those of its sitemap, and the one for addresses that lead nowhere.
/// Other tests put pages of their own beside them.
fn all_pages() -> Vec<String> {
    let sitemap = fs::read_to_string(BOOK.join("sitemap.xml")).unwrap();
    let addresses = sitemap.split("<loc>").skip(1).filter_map(|rest| rest.split_once("</loc>"));
    let home = concat!(env!("CARGO_PKG_HOMEPAGE"), "/");
    let path =
        |(address, _): (&str, &str)| address.strip_prefix(home).expect("it is below the home").to_owned();
    let mut found: Vec<String> = addresses.map(path).chain(["404.html".to_owned()]).collect();
    found.sort();
    found
}

/// A page without its scripts, in a folder in which everything else is as it is beside the page.
async fn without_scripts(PathOf(path): PathOf<String>) -> Response {
    if !path.ends_with(".html") {
        return Redirect::temporary(&format!("/{path}")).into_response();
    }
    let Ok(page) = fs::read_to_string(BOOK.join(path)) else { return StatusCode::NOT_FOUND.into_response() };
    let mut parts = page.split("<script");
    let mut text = parts.next().unwrap_or_default().to_owned();
    text.extend(parts.map(|part| part.split_once("</script>").map_or("", |(_, after)| after)));
    Html(text).into_response()
}

/// Serves the book and what looks at it. What was found is sent as soon as it is known.
fn router(pages: &[&str], themes: &[&str], report: mpsc::Sender<String>) -> Router {
    let look = script(&data().join("look.js"));
    let job = serde_json::json!({ "pages": pages, "widths": WIDTHS, "themes": themes }).to_string();
    let finished = Arc::new(Semaphore::new(0));
    let waiting = finished.clone();
    book_and_axe()
        .route("/look/", get(|| async { Html(LOOKS) }))
        .route("/look/look.js", get(move || async move { look }))
        .route("/look/look.json", get(move || async move { job }))
        .route(
            "/look/wait",
            get(move || async move {
                let _ = tokio::time::timeout(PATIENCE, waiting.acquire()).await;
                StatusCode::NO_CONTENT
            }),
        )
        .route(
            "/look/found",
            post(move |found: String| async move {
                let _ = report.send(found);
                finished.add_permits(1);
            }),
        )
        .route("/plain/{*path}", get(without_scripts))
}

/// Serves until the runtime is dropped.
fn serve(router: Router) -> (Runtime, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move { axum::serve(listener, router).await });
    (runtime, address)
}

/// The book as a web server has it, and axe, which looks at a page as a screen reader would, at `/look/axe.min.js`.
pub(crate) fn serve_book() -> (Runtime, SocketAddr) {
    serve(book_and_axe())
}

fn book_and_axe() -> Router {
    let axe = script(&data().join("axe/axe.min.js"));
    Router::new()
        .route("/look/axe.min.js", get(move || async move { axe }))
        .fallback_service(ServeDir::new(&*BOOK))
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn script(path: &Path) -> ([(HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, "text/javascript")], fs::read_to_string(path).unwrap())
}

/// Lets the browser look, and says what it has found.
fn look(chromium: &Chromium, pages: &[&str], themes: &[&str]) {
    let (report, reports) = mpsc::channel();
    let (runtime, address) = serve(router(pages, themes, report));
    chromium.visit(&format!("http://{address}/look/"), &[]);
    let found = reports.try_recv().expect("the script looks at every page");
    runtime.shutdown_background();
    assert!(found.is_empty(), "{} to fix:\n{found}", found.lines().count());
}

/// The page on which most readers arrive: a form, a table that a script filters, and links of every kind.
#[test]
fn the_page_of_symptoms_can_be_read_by_everybody() {
    let chromium = start_or_skip!(Chromium::find());
    look(&chromium, &["troubleshooting/index.html"], &THEMES[..1]);
}

/// Each page in the first theme.
#[test]
#[ignore = "long: looks at every page"]
fn every_page_can_be_read_by_everybody() {
    let chromium = start_or_skip!(Chromium::find());
    let pages = all_pages();
    assert!(pages.len() > 80, "{pages:?}");
    look(&chromium, &pages.iter().map(String::as_str).collect::<Vec<_>>(), &THEMES[..1]);
}

/// Each tenth page in every theme: the colours are those of the stylesheets. With `LOOK_AT_ALL`, as once a week, all.
#[test]
#[ignore = "long: looks in every theme"]
fn pages_can_be_read_in_every_theme() {
    let chromium = start_or_skip!(Chromium::find());
    let each = if std::env::var_os("LOOK_AT_ALL").is_some() { 1 } else { 10 };
    let pages = all_pages();
    look(&chromium, &pages.iter().map(String::as_str).step_by(each).collect::<Vec<_>>(), &THEMES);
}
