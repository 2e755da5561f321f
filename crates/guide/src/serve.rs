//! `cargo run`: the book in a browser, rebuilt as its files change, with the echo server beside it.
//!
//! Two folders take turns, so a page is always read from a whole build: the next build goes where the last one but
//! one was. A build that fails is reported, and the last good one stays.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use poolhouse_echo::EchoServer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::book::{self, Rendering};
use crate::progress::Task;
use crate::site::{self, Edition};
use crate::sources::Sources;
use crate::staging::{self, Staging};
use crate::watch::Watcher;
use crate::{echo, port, rustdoc};

#[derive(Args, PartialEq)]
pub(crate) struct ServeArgs {
    /// Port of the book on 127.0.0.1; the next free one if it is taken, any free one if 0
    #[arg(long, short, value_name = "PORT", default_value_t = 3000)]
    pub(crate) port: u16,
    /// Port of the echo server on 127.0.0.1; the next free one if it is taken, any free one if 0
    #[arg(long, value_name = "PORT", default_value_t = 5555)]
    pub(crate) echo_port: u16,
    /// Do not start the echo server
    #[arg(long, conflicts_with = "echo_port")]
    pub(crate) no_echo: bool,
    /// Open the book in a browser
    #[arg(long, short)]
    pub(crate) open: bool,
}

/// How the names of the folders begin that a served book is built in.
const PREFIX: &str = "guide-serve-";

pub(crate) fn run(root: &Path, args: &ServeArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(serve(root, args));
    // A build under way is of no use any more.
    runtime.shutdown_background();
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn serve(root: &Path, args: &ServeArgs) -> Result<()> {
    let stop = poolhouse_echo::interrupted()?;
    tokio::pin!(stop);
    let listener = TcpListener::from_std(port::listen(args.port)?)?;
    let got = listener.local_addr()?.port();
    let press = Press::new(root)?;

    let mut watcher = Watcher::new()?;
    let task = Task::start("Building the book");
    let start = async {
        let mut sources = None;
        let built = look(root, &mut watcher, &mut sources).await?;
        anyhow::Ok((sources, built, press.print(1).await?))
    };
    let (mut sources, mut built, first) = tokio::select! {
        start = start => start?,
        () = &mut stop => return Ok(()),
    };
    drop(task);
    let (publish, editions) = watch::channel(first);
    let echo = if args.no_echo { None } else { Some(echo::beside(args.echo_port).await?) };
    announce(args, got, echo.as_ref());
    // The book can be read meanwhile, and without.
    let api = if rustdoc::is_there(root) { rustdoc::made_in(root).ok() } else { None };
    let _documenting = api.is_some().then(|| {
        let mut cargo = tokio::process::Command::from(rustdoc::command(root));
        cargo.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn()
    });

    let server = axum::serve(listener, site::router(editions, api)).into_future();
    let rebuild = async {
        loop {
            watcher.woken().await;
            let Ok(fingerprint) = look(root, &mut watcher, &mut sources).await else { continue };
            if fingerprint == built {
                continue;
            }
            built = fingerprint;
            let started = Instant::now();
            let number = publish.borrow().number + 1;
            match press.print(number).await {
                Ok(edition) => {
                    // First, so that a reader of the line finds the pages.
                    publish.send_replace(edition);
                    println!("Rebuilt in {:.1} s", started.elapsed().as_secs_f64());
                }
                Err(error) => eprintln!("error: {error:#}\nThe last good build is still being served."),
            }
        }
    };
    let outcome = tokio::select! {
        served = server => served.context("the web server stopped"),
        () = rebuild => Ok(()),
        () = &mut stop => Ok(()),
    };
    if let Some(echo) = echo {
        // It closes every connection; a client that clings to one must not keep us.
        let _ = tokio::time::timeout(Duration::from_secs(2), echo.stop()).await;
        println!("Echo server: {}", echo.counts());
    }
    outcome
}

/// Watches the sources, and then takes their fingerprint, so that no change falls between.
///
/// Files are read beside the task that serves: a disk that has gone away must stop neither the pages nor Ctrl-C.
async fn look(root: &Path, watcher: &mut Watcher, sources: &mut Option<Arc<Sources>>) -> Result<u64> {
    let (root, last) = (root.to_path_buf(), sources.take());
    let found = spawn_blocking(move || match (book::config(&root), last) {
        (Ok(config), _) => Ok(Arc::new(Sources::of(&root, &config))),
        // With a book.toml that does not parse, the last sources tell when it is repaired.
        (Err(_), Some(last)) => Ok(last),
        (Err(error), None) => Err(error),
    });
    let found = Arc::clone(sources.insert(found.await??));
    watcher.follow(&found);
    Ok(spawn_blocking(move || found.fingerprint()).await?)
}

fn announce(args: &ServeArgs, port: u16, echo: Option<&EchoServer>) {
    let book = format!("http://127.0.0.1:{port}");
    println!("Book         {book}{}", port::note(args.port, port));
    if let Some(echo) = echo {
        println!("Echo server  {}{}", echo.addr(), port::note(args.echo_port, echo.port()));
    }
    println!("Pages reload when a file of the book changes. Ctrl-C stops.");
    if args.open
        && let Err(error) = open::that_detached(&book)
    {
        eprintln!("warning: no browser could be started ({error}); open {book} yourself");
    }
}

/// Prints editions of the book into two folders in turn.
struct Press {
    root: PathBuf,
    /// A build under way keeps it: what a build writes while the program ends is left to the next one.
    folder: Arc<Staging>,
}

impl Press {
    /// The folder is where the book is built as a rule, or else among the system's temporary ones: a checkout may be
    /// read-only.
    fn new(root: &Path) -> Result<Press> {
        let build_dir = root.join(book::config(root).unwrap_or_default().build.build_dir);
        let beside = build_dir.parent().unwrap_or(root);
        staging::sweep(beside, PREFIX);
        let folder = Staging::new(beside, PREFIX).or_else(|_| {
            let temporary = env::temp_dir();
            staging::sweep(&temporary, PREFIX);
            Staging::new(&temporary, PREFIX)
        })?;
        Ok(Press { root: root.to_path_buf(), folder: Arc::new(folder) })
    }

    async fn print(&self, number: u64) -> Result<Edition> {
        let (root, folder) = (self.root.clone(), Arc::clone(&self.folder));
        let dest = folder.path().join(if number.is_multiple_of(2) { "even" } else { "odd" });
        spawn_blocking(move || {
            let live_reload = site::reload_path(number);
            let rendering = Rendering { dest: &dest, live_reload: Some(&live_reload), site_url: Some("/") };
            let pages = book::render(&root, &rendering)?;
            drop(folder);
            Ok(Edition { number, folder: pages.folder, not_found: pages.not_found })
        })
        .await
        .context("mdBook panicked on this book")?
    }
}
