//! Noticing that a file may have changed.
//!
//! The watcher only wakes: `sources` decides whether anything is different. Events come in bursts (an editor writes,
//! renames and deletes), so a burst is waited out first.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::sources::Sources;

/// A burst is over when nothing has happened for this long.
const QUIET: Duration = Duration::from_millis(100);

/// A burst that does not end is cut off here.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) struct Watcher {
    inner: RecommendedWatcher,
    events: mpsc::Receiver<()>,
}

impl Watcher {
    pub(crate) fn new() -> Result<Watcher> {
        // One pending wake-up is as good as many.
        let (wake, events) = mpsc::channel(1);
        let inner = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // Reading is no change, and the build itself reads. An error may hide a change.
            if event.map_or(true, |event| !event.kind.is_access()) {
                let _ = wake.try_send(());
            }
        })
        .context("files cannot be watched on this system; `cargo guide build` needs no watcher")?;
        Ok(Watcher { inner, events })
    }

    /// Watches the sources from now on. What is watched already stays so, and a folder that was deleted and made
    /// again is found again.
    pub(crate) fn follow(&mut self, sources: &Sources) {
        let trees = sources.trees.iter().map(|tree| (tree.as_path(), RecursiveMode::Recursive));
        let folders = sources.folders().into_iter().map(|folder| (folder, RecursiveMode::NonRecursive));
        for (path, mode) in folders.chain(trees) {
            if path.is_dir() {
                self.watch(path, mode);
            }
        }
    }

    fn watch(&mut self, path: &Path, mode: RecursiveMode) {
        if let Err(error) = self.inner.watch(path, mode) {
            eprintln!("warning: changes in {} go unnoticed: {error}", path.display());
        }
    }

    /// Resolves after a burst of events.
    pub(crate) async fn woken(&mut self) {
        if self.events.recv().await.is_none() {
            // The sender lives in the watcher, which lives as long as this.
            std::future::pending::<()>().await;
        }
        let cut_off = Instant::now() + PATIENCE;
        while Instant::now() < cut_off && timeout(QUIET, self.events.recv()).await.is_ok() {}
    }
}
