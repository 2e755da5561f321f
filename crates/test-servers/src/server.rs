//! One process of a server: started as a user whom it accepts, stopped by its number, frozen and thawed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::error::ServerError;
use crate::guardian::Folder;

/// How long a server may take to start, and to stop. On a busy machine `initdb` alone takes ten seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(10);

/// How much of a log is part of an error, in bytes.
const TAIL: usize = 4000;

/// The user and the group `nobody`. PostgreSQL and PgBouncer refuse to run as root.
const NOBODY: u32 = 65534;

/// A server's process, its folder and its log.
pub(crate) struct Server {
    name: &'static str,
    stop: Signal,
    child: Option<Child>,
    frozen: bool,
    folder: Folder,
}

impl Server {
    /// No process yet. `stop` makes it end at once and in order; `signal` is its name, for `kill`.
    pub(crate) fn new(name: &'static str, (stop, signal): (Signal, &str)) -> Result<Self, ServerError> {
        let folder = Folder::new(name, signal)?;
        own(folder.path())?;
        Ok(Self { name, stop, child: None, frozen: false, folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file of the server's into its folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), ServerError> {
        let file = self.folder().join(name);
        fs::write(&file, text).map_err(ServerError::io(format!("write {name}")))?;
        own(&file)
    }

    /// Starts the process, with the folder's log as its output.
    pub(crate) fn spawn(&mut self, mut command: Command) -> Result<(), ServerError> {
        let log = self.open_log()?;
        let second = log.try_clone().map_err(ServerError::io("use the log twice"))?;
        as_nobody(&mut command, self.folder())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(second)
            .process_group(0);
        let child = command.spawn().map_err(ServerError::io(format!("start {}", self.name)))?;
        let id = child.id();
        self.child = Some(child);
        fs::write(self.pid_file(), id.to_string()).map_err(ServerError::io("write the file pid"))
    }

    /// Waits until `probe` has an answer from the server.
    pub(crate) fn wait_until_ready(
        &mut self,
        mut probe: impl FnMut() -> Result<(), String>,
    ) -> Result<(), ServerError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended() {
                return Err(self.failed(format!("it ended at once: {status}")));
            }
            match probe() {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(self.failed(format!("no answer after {PATIENCE:?}: {error}")));
                }
                Err(_) => sleep(GLANCE),
            }
        }
    }

    fn ended(&mut self) -> Option<String> {
        match self.child.as_mut()?.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Ends the process with a signal, and kills it if it does not obey.
    pub(crate) fn stop(&mut self, signal: Signal) -> Result<(), ServerError> {
        let Some(id) = self.id() else { return Ok(()) };
        let family = descendants(id);
        // What is frozen does not obey.
        let _ = self.signal(signal);
        self.thaw()?;
        let deadline = Instant::now() + PATIENCE;
        while self.ended().is_none() {
            if Instant::now() > deadline {
                for member in family.iter().copied().chain([id]) {
                    let _ = kill_process(member, Signal::KILL);
                }
            }
            sleep(GLANCE);
        }
        self.child = None;
        fs::remove_file(self.pid_file()).map_err(ServerError::io("remove the file pid"))
    }

    /// Stops the process and all its children where they are: the kernel still takes connections, and nobody answers.
    ///
    /// A signal is delivered to one thread, when that is next scheduled. On a busy machine the others answer meanwhile, and
    /// make children. So nothing is frozen until every thread is seen to stand still.
    pub(crate) fn freeze(&mut self) -> Result<(), ServerError> {
        self.frozen = true;
        let Some(id) = self.id() else { return Ok(()) };
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.signal(Signal::STOP)?;
            self.signal_children(Signal::STOP);
            if stands_still(id) && descendants(id).into_iter().all(stands_still) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(self.failed(format!("it still ran {PATIENCE:?} after SIGSTOP")));
            }
            sleep(GLANCE);
        }
    }

    /// Lets everything go on.
    pub(crate) fn thaw(&mut self) -> Result<(), ServerError> {
        if !std::mem::take(&mut self.frozen) {
            return Ok(());
        }
        self.signal_children(Signal::CONT);
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), ServerError> {
        let Some(id) = self.id() else { return Ok(()) };
        let what = format!("send {signal:?} to {}", self.name);
        kill_process(id, signal).map_err(io::Error::from).map_err(ServerError::io(what))
    }

    /// A child that has gone meanwhile is no error.
    fn signal_children(&self, signal: Signal) {
        for child in self.id().map(descendants).unwrap_or_default() {
            let _ = kill_process(child, signal);
        }
    }

    pub(crate) fn id(&self) -> Option<Pid> {
        self.child.as_ref().map(Pid::from_child)
    }

    pub(crate) fn log(&self) -> String {
        fs::read(self.folder().join("log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    pub(crate) fn failed(&self, what: impl Into<String>) -> ServerError {
        let log = self.log();
        let from = log.len().saturating_sub(TAIL);
        let from = (from..log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(log.len());
        ServerError::Failed { server: self.name, what: what.into(), log: log[from..].to_owned() }
    }

    /// Runs a program to its end, as the server's user.
    pub(crate) fn run(&self, mut command: Command) -> Result<String, ServerError> {
        let what = format!("run {command:?}");
        let output = as_nobody(&mut command, self.folder()).output().map_err(ServerError::io(&what))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(self.failed(format!("cannot {what}: {}", String::from_utf8_lossy(&output.stderr))))
    }

    fn open_log(&self) -> Result<File, ServerError> {
        let file = self.folder().join("log");
        OpenOptions::new().create(true).append(true).open(file).map_err(ServerError::io("open the log"))
    }

    fn pid_file(&self) -> std::path::PathBuf {
        self.folder().join("pid")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop(self.stop);
    }
}

/// A port on which nobody listens now.
pub(crate) fn free_port() -> Result<u16, ServerError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(ServerError::io("find a free port"))
}

/// Starts something on a free port. Between the look and the start another process may take the port: then the next try
/// has another.
pub(crate) fn on_a_free_port<S>(start: impl Fn(u16) -> Result<S, ServerError>) -> Result<S, ServerError> {
    const TRIES: usize = 5;
    let mut last = None;
    for _ in 0..TRIES {
        match start(free_port()?) {
            Err(ServerError::Failed { server, what, log }) if log.contains("in use") => {
                last = Some(ServerError::Failed { server, what, log });
            }
            other => return other,
        }
    }
    Err(last.expect("there is at least one try"))
}

fn as_root() -> bool {
    geteuid().is_root()
}

/// Gives a file or folder to the user that the server runs as.
pub(crate) fn own(path: &Path) -> Result<(), ServerError> {
    if !as_root() {
        return Ok(());
    }
    chown(path, Some(NOBODY), Some(NOBODY)).map_err(ServerError::io("give a folder to nobody"))
}

fn as_nobody<'c>(command: &'c mut Command, folder: &Path) -> &'c mut Command {
    if as_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir(folder).env("HOME", folder)
}

/// Whether no thread of a process runs: all are stopped, or have ended. Where the system has no `/proc`, nobody can tell.
fn stands_still(id: Pid) -> bool {
    let threads = format!("/proc/{}/task", id.as_raw_nonzero());
    let Ok(threads) = fs::read_dir(threads) else { return true };
    threads.flatten().all(|thread| match fs::read_to_string(thread.path().join("stat")) {
        // The number, the name in parentheses, the state. A name may have parentheses in it.
        Ok(stat) => stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['T', 'Z', 'X'])),
        Err(_) => true,
    })
}

/// The processes that came from this one.
fn descendants(of: Pid) -> Vec<Pid> {
    let Ok(listed) = Command::new("ps").args(["-A", "-o", "pid=", "-o", "ppid="]).output() else {
        return Vec::new();
    };
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let pairs: Vec<(i32, i32)> = listed
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse);
            Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
        })
        .collect();
    let mut found = vec![of.as_raw_nonzero().get()];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(pairs.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        next += 1;
    }
    found.into_iter().skip(1).filter_map(Pid::from_raw).collect()
}
