//! Pages in a headless Chromium.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::ServerError;
use crate::page::Page;
use crate::programs;

/// A Chromium that visits one page at a time and leaves nothing behind.
///
/// ```no_run
/// use test_servers::{Chromium, start_or_skip};
///
/// # fn a_test() {
/// let chromium = start_or_skip!(Chromium::find());
/// assert!(chromium.visit("file:///tmp/page.html", &[]).contains("<h1>"));
/// # }
/// ```
pub struct Chromium {
    program: PathBuf,
}

impl Chromium {
    /// The one that `CHROMIUM` names, or that is on the path.
    ///
    /// # Errors
    ///
    /// [`NotInstalled`](ServerError::NotInstalled) if there is none.
    ///
    /// ```no_run
    /// let chromium = test_servers::Chromium::find()?;
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn find() -> Result<Self, ServerError> {
        let program = match std::env::var_os("CHROMIUM") {
            Some(program) => program.into(),
            None => programs::find("chromium", "chromium")?,
        };
        Ok(Self { program })
    }

    /// The source of the page once it is loaded, with what its scripts have made of it. The flags are Chromium's.
    ///
    /// # Panics
    ///
    /// If Chromium cannot be run, and if the page says anything on its console.
    ///
    /// ```no_run
    /// let chromium = test_servers::Chromium::find()?;
    /// let page = chromium.visit("http://127.0.0.1:8000/", &["--virtual-time-budget=60000"]);
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn visit(&self, address: &str, flags: &[&str]) -> String {
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let output = self.command(profile.path()).args(flags).args(["--dump-dom", address]).output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        let log = String::from_utf8_lossy(&output.stderr);
        let complaints: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
        assert!(complaints.is_empty(), "the console says: {complaints:#?}");
        String::from_utf8(output.stdout).expect("a page is UTF-8")
    }

    /// A page that stays open, to be used with keys, other settings, or without scripts.
    ///
    /// # Panics
    ///
    /// If Chromium cannot be run.
    ///
    /// ```no_run
    /// let mut page = test_servers::Chromium::find()?.page();
    /// page.open("http://127.0.0.1:8000/");
    /// # Ok::<(), test_servers::ServerError>(())
    /// ```
    pub fn page(&self) -> Page {
        let profile = tempfile::tempdir().expect("a folder for the profile");
        Page::start(&self.command(profile.path()), profile)
    }

    fn command(&self, profile: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
        command.args(["--no-first-run", "--enable-logging=stderr"]);
        command.arg(format!("--user-data-dir={}", profile.display()));
        command
    }
}
