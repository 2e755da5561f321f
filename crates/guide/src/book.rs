//! The book: loading it, and rendering it to HTML.
//!
//! mdBook logs some faults (an include whose file is missing, for one) and goes on. Nobody wants to publish such a
//! book, so whatever mdBook logs as an error counts, and a build that logged any has failed.
//!
//! A build goes to a folder of its own and takes the place of the last one when it has succeeded.

use std::env;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use mdbook_driver::MDBook;
use mdbook_driver::config::Config;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{self, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::destination::Destination;
use crate::finish;
use crate::listings::{self, Listings};
use crate::metadata;
use crate::progress::Task;
use crate::rustdoc;
use crate::sources::Sources;

#[derive(Args)]
pub(crate) struct BuildArgs {
    /// Where to put the book; a book that this command put there before is replaced [default: build-dir in book.toml]
    #[arg(long, short, value_name = "DIR")]
    pub(crate) dest_dir: Option<PathBuf>,
    /// The path under which the book will be published, such as /guide/; the page for missing pages needs it [default:
    /// site-url in book.toml, or the path of `homepage` in Cargo.toml]
    #[arg(long, value_name = "PATH")]
    pub(crate) site_url: Option<String>,
}

/// `cargo guide build`
pub(crate) fn run(root: &Path, args: &BuildArgs) -> Result<ExitCode> {
    let config = config(root)?;
    let dest = match &args.dest_dir {
        Some(dir) => std::path::absolute(dir)?,
        None => root.join(&config.build.build_dir),
    };
    let destination = Destination::new(&dest, sources(root, &config))?;
    let task = Task::start("Building the book");
    let staging = destination.stage()?;
    let fresh = staging.path().join("book");
    let has_url = config.html_config().is_some_and(|html| html.site_url.is_some());
    let default = (!has_url).then(|| path_of(env!("CARGO_PKG_HOMEPAGE")));
    let site_url = args.site_url.as_deref().or(default.as_deref());
    render(root, &Rendering { dest: &fresh, live_reload: None, site_url })?;
    metadata::add(&fresh, &site(env!("CARGO_PKG_HOMEPAGE"), args.site_url.as_deref()))?;
    if rustdoc::is_there(root) {
        rustdoc::put_beside(root, &fresh)?;
    }
    destination.replace(&staging, &fresh)?;
    let took = task.finish();
    println!("Built {} in {:.1} s", destination.path().join("index.html").display(), took.as_secs_f64());
    Ok(ExitCode::SUCCESS)
}

/// The path of an address, with a slash at either end: that of `https://a.example/guide` is `/guide/`.
fn path_of(address: &str) -> String {
    let after_scheme = address.split_once("://").map_or(address, |(_, rest)| rest);
    match after_scheme.trim_end_matches('/').split_once('/') {
        Some((_, path)) => format!("/{path}/"),
        None => "/".to_owned(),
    }
}

/// Where the book will be: at `homepage`, or there at another path.
fn site(homepage: &str, path: Option<&str>) -> String {
    let Some(path) = path else { return homepage.to_owned() };
    let own = path_of(homepage);
    format!("{}{path}", format!("{}/", homepage.trim_end_matches('/')).trim_end_matches(own.as_str()))
}

/// What a build must not replace.
fn sources(root: &Path, config: &Config) -> Vec<PathBuf> {
    let theme = config.html_config().unwrap_or_default().theme_dir(root);
    vec![root.to_path_buf(), root.join(&config.book.src), theme]
}

/// What differs between one rendering of the book and another.
pub(crate) struct Rendering<'a> {
    /// Emptied first.
    pub(crate) dest: &'a Path,
    /// The path of the websocket that tells a page to reload. Never set for a book that is published.
    pub(crate) live_reload: Option<&'a str>,
    pub(crate) site_url: Option<&'a str>,
}

/// What a rendering has made.
pub(crate) struct Pages {
    pub(crate) folder: PathBuf,
    /// The file to show for a page that does not exist.
    pub(crate) not_found: PathBuf,
}

pub(crate) fn render(root: &Path, rendering: &Rendering<'_>) -> Result<Pages> {
    let mut config = config(root)?;
    config.build.build_dir = rendering.dest.to_path_buf();
    if let Some(path) = rendering.live_reload {
        config.set("output.html.live-reload-endpoint", path)?;
    }
    if let Some(url) = rendering.site_url {
        config.set("output.html.site-url", url)?;
    }
    link_to_sources(&mut config)?;
    let before = ERRORS.load(Ordering::Relaxed);
    let mut book = load(root, config)?;
    let listings = Listings::default();
    listings::mark_files(&mut book.book, root, &root.join(&book.config.book.src));
    book.with_preprocessor(listings.clone());
    book.build().context("the book cannot be rendered")?;
    match ERRORS.load(Ordering::Relaxed) - before {
        0 => {}
        1 => bail!("mdBook reported the error above; correct it and build again"),
        many => bail!("mdBook reported the {many} errors above; correct them and build again"),
    }
    let folder = book.build_dir_for("html");
    let html = book.config.html_config().unwrap_or_default();
    listings.write(&folder)?;
    finish::pages(root, &folder, &html.theme_dir(root).join("search.js"))?;
    let not_found = folder.join(html.get_404_output_file());
    Ok(Pages { folder, not_found })
}

/// The repository, and each page's source in it, unless `book.toml` has addresses of its own.
fn link_to_sources(config: &mut Config) -> Result<()> {
    let repository = env!("CARGO_PKG_REPOSITORY");
    let html = config.html_config().unwrap_or_default();
    if html.git_repository_url.is_none() {
        config.set("output.html.git-repository-url", repository)?;
    }
    if html.edit_url_template.is_none() {
        config.set("output.html.edit-url-template", format!("{repository}/edit/main/{{path}}"))?;
    }
    Ok(())
}

/// The configuration, with what the environment (`MDBOOK_*`) overrides.
pub(crate) fn config(root: &Path) -> Result<Config> {
    let path = root.join("book.toml");
    ensure!(path.is_file(), "{} is not a file", path.display());
    let mut config = Config::from_disk(&path).with_context(|| format!("{} is not valid", path.display()))?;
    override_from_env(&mut config)?;
    // A slip in SUMMARY.md should be an error, not an empty chapter.
    config.build.create_missing = false;
    Ok(config)
}

/// What `Config::update_from_env` does, which panics as soon as any variable is not UTF-8, one of another program's
/// included.
fn override_from_env(config: &mut Config) -> Result<()> {
    const TABLES: [&str; 5] = ["book", "build", "rust", "output", "preprocessor"];
    for (name, value) in env::vars_os() {
        let Some(key) = name.to_str().and_then(|name| name.strip_prefix("MDBOOK_")) else { continue };
        let key = key.to_lowercase().replace("__", ".").replace('_', "-");
        // Other variables are for people's own scripts.
        if !TABLES.contains(&key.split('.').next().unwrap_or_default()) {
            continue;
        }
        let name = name.display();
        let value =
            value.to_str().with_context(|| format!("{name} is not UTF-8; correct it, or unset it"))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| serde_json::Value::from(value));
        config.set(&key, value).with_context(|| format!("{name} cannot be used; correct it, or unset it"))?;
    }
    Ok(())
}

pub(crate) fn load(root: &Path, config: Config) -> Result<MDBook> {
    Sources::of(root, &config).check()?;
    let summary = root.join(&config.book.src).join("SUMMARY.md");
    MDBook::load_with_config(root, config)
        .with_context(|| format!("the book cannot be loaded; see {}", summary.display()))
}

/// How many errors mdBook has logged since the program started.
static ERRORS: AtomicUsize = AtomicUsize::new(0);

struct CountErrors;

impl<S: Subscriber> Layer<S> for CountErrors {
    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR {
            ERRORS.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Prints mdBook's warnings and errors, and counts the errors.
pub(crate) fn show_mdbook_messages() {
    let lines = tracing_subscriber::fmt::layer()
        .without_time()
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    tracing_subscriber::registry().with(LevelFilter::WARN).with(CountErrors).with(lines).init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_path_with_slashes() {
        for (address, path) in [
            ("https://a.example", "/"),
            ("https://a.example/", "/"),
            ("https://a.example/guide", "/guide/"),
            ("https://a.example/b/guide/", "/b/guide/"),
        ] {
            assert_eq!(path_of(address), path);
        }
    }
}
