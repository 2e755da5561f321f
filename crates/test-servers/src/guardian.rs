//! Stops a server and removes its folder when the test process is gone, however it went.
//!
//! A drop does not run when a test is killed. So each folder has a guardian: a shell that waits for the end of its standard
//! input. The other end of that pipe is in the test process alone, and the kernel closes it when the process ends, also by
//! SIGKILL. The guardian then stops the process whose number is in the file `pid` of the folder, with all its children, and
//! removes the folder. In a test that ends as it should, the server has stopped by then, and removing is all that is left.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::Builder;

use crate::error::ServerError;

/// `$1` is the folder, `$2` the signal that stops the server at once and in order. What does not obey within five seconds
/// is killed. A process that is stopped (SIGSTOP) has to go on before it can obey.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
read -r _
if [ -f "$1/pid" ]; then
    pid=$(cat "$1/pid")
    family() {
        echo "$pid"
        ps -A -o pid= -o ppid= | while read -r child parent; do
            [ "$parent" = "$pid" ] && echo "$child"
        done
    }
    all=$(family)
    kill -"$2" "$pid"
    kill -CONT $all
    tries=50
    while kill -0 "$pid" && [ "$tries" -gt 0 ]; do
        tries=$((tries - 1))
        sleep 0.1
    done
    kill -KILL $all
fi 2>/dev/null
rm -rf "$1"
"#;

/// A folder under the guard of a shell. It is removed on drop, and when this process ends.
pub(crate) struct Folder {
    path: PathBuf,
    guardian: Child,
}

impl Folder {
    /// A new folder, for `name`, whose process stops at `signal`.
    pub(crate) fn new(name: &str, signal: &str) -> Result<Self, ServerError> {
        let folder = Builder::new()
            .prefix(&format!("test-{name}-"))
            .tempdir()
            .map_err(ServerError::io("make a temporary folder"))?;
        let guardian = Command::new("sh")
            .args(["-c", SCRIPT, "guardian"])
            .arg(folder.path())
            .arg(signal)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A Ctrl-C at the terminal is for the tests. The guardian still has work to do then.
            .process_group(0)
            .current_dir("/")
            .spawn()
            .map_err(ServerError::io("start sh"))?;
        Ok(Self { path: folder.keep(), guardian })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.guardian.stdin.take());
        let _ = self.guardian.wait();
    }
}
