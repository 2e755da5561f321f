//! Saying what takes time: a spinner on a terminal, plain lines anywhere else.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Something under way. Dropping it takes the spinner away.
pub(crate) struct Task {
    started: Instant,
    spinner: Option<ProgressBar>,
}

impl Task {
    pub(crate) fn start(what: &str) -> Task {
        let spinner = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner().with_message(what.to_owned());
            bar.set_style(
                ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("a valid template"),
            );
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if spinner.is_none() {
            eprintln!("{what}");
        }
        Task { started: Instant::now(), spinner }
    }

    /// Ends the task and tells how long it took.
    pub(crate) fn finish(self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}
