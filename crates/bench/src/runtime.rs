//! Runtimes whose workers stay on their core.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Runtime};

/// A multi-threaded runtime. Worker `n` runs on core `n`.
pub fn pinned(workers: usize) -> Runtime {
    let next = AtomicUsize::new(0);
    Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .on_thread_start(move || {
            // Threads for blocking work start later and are not pinned.
            let core = next.fetch_add(1, Ordering::Relaxed);
            if core < workers
                && let Err(error) = pin(core)
            {
                eprintln!("warning: worker {core} is not pinned to its core: {error}");
            }
        })
        .build()
        .expect("a runtime starts")
}

/// A runtime on this thread alone, for what must repeat to the unit.
pub fn single() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime starts")
}

#[cfg(target_os = "linux")]
fn pin(core: usize) -> io::Result<()> {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let cores: Vec<usize> =
        (0..CpuSet::count()).filter(|&core| allowed.is_set(core).unwrap_or(false)).collect();
    let core = cores.get(core).ok_or_else(|| io::Error::other("there are fewer cores than workers"))?;
    let mut one = CpuSet::new();
    one.set(*core)?;
    sched_setaffinity(Pid::from_raw(0), &one)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn pin(_core: usize) -> io::Result<()> {
    Err(io::Error::other("only implemented for Linux"))
}
