//! Where the distribution keeps its servers.

use std::path::{Path, PathBuf};

use crate::error::ServerError;

/// A program on the path, or where Debian puts what only an administrator runs.
pub(crate) fn find(program: &'static str, package: &'static str) -> Result<PathBuf, ServerError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .ok_or(ServerError::NotInstalled { program, package })
}

/// The folder with `initdb`, `postgres` and `psql` of the newest PostgreSQL. Debian keeps them off the path.
pub(crate) fn postgres() -> Result<PathBuf, ServerError> {
    const COMPLETE: [&str; 3] = ["initdb", "postgres", "psql"];
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut newest: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, folder)| COMPLETE.iter().all(|program| folder.join(program).is_file()))
        .collect();
    newest.sort();
    if let Some((_, folder)) = newest.pop() {
        return Ok(folder);
    }
    let postgres = find("postgres", "postgresql")?;
    let folder = postgres.canonicalize().ok().and_then(|file| file.parent().map(Path::to_owned));
    folder.ok_or(ServerError::NotInstalled { program: "postgres", package: "postgresql" })
}

/// A program of RabbitMQ. What Debian has on the path is a wrapper that uses the folders of the system's broker.
pub(crate) fn rabbitmq(program: &'static str) -> Result<PathBuf, ServerError> {
    let own = Path::new("/usr/lib/rabbitmq/bin").join(program);
    if own.is_file() { Ok(own) } else { find(program, "rabbitmq-server") }
}
