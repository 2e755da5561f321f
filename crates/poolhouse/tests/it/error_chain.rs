//! `acquire.diagnosis`: the text of an error tells the whole cause, and tells it once.
//!
//! A driver's own text is often no more than "db error"; what went wrong is further down its chain of sources.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use poolhouse::{
    AcquireError, ConnectError, FailureKind, GUIDE, Manager, PacketError, PacketManager, Pool, PoolConfig,
};

use crate::common::{config, ms, secs};

/// An error with a source, like the two layers of a driver's.
#[derive(Debug, Clone)]
struct Layer(&'static str, Option<Box<Layer>>);

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Layer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|error| error as &(dyn Error + 'static))
    }
}

fn layers(texts: &[&'static str]) -> Layer {
    let mut texts = texts.iter().rev();
    let root = Layer(texts.next().unwrap(), None);
    texts.fold(root, |source, text| Layer(text, Some(Box::new(source))))
}

const PASSWORD: &str = "FATAL: password authentication failed for user \"app\"";

/// As tokio-postgres tells a wrong password.
fn db_error() -> Layer {
    layers(&["db error", PASSWORD])
}

struct Database<E>(E, FailureKind);

impl<E: Error + Clone + Send + Sync + 'static> Manager for Database<E> {
    type Connection = ();
    type Error = E;

    async fn connect(&self) -> Result<(), E> {
        Err(self.0.clone())
    }

    fn classify(&self, _: &E) -> FailureKind {
        self.1
    }
}

/// What a log of the whole chain prints, as anyhow does: the error, then each source.
fn printed(error: &dyn Error) -> String {
    let sources = std::iter::successors(error.source(), |&error| error.source());
    sources.take(99).fold(error.to_string(), |text, source| format!("{text}\ncaused by: {source}"))
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

async fn refused<E: Error + Clone + Send + Sync + 'static>(error: E) -> AcquireError {
    let pool = Pool::new(Database(error, FailureKind::Permanent), config(1)).unwrap();
    pool.acquire().await.map(drop).unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn one_line_tells_the_cause_and_a_chain_tells_it_once() {
    let error = refused(db_error()).await;
    assert!(error.to_string().contains(&format!(": db error: {PASSWORD}; check the address")), "{error}");
    let AcquireError::Connect(failed) = &error else { panic!("{error:?}") };

    let pool = Pool::new(Database(db_error(), FailureKind::Transient), config(1)).unwrap();
    let late = pool.acquire_within(ms(50)).await.map(drop).unwrap_err();
    let AcquireError::Timeout(timeout) = &late else { panic!("{late:?}") };

    let errors: [&dyn Error; 5] = [&error, failed, &*failed.error, &late, &**timeout];
    for error in errors {
        let text = printed(error);
        for part in ["db error", PASSWORD, "; guide: "] {
            assert_eq!(count(&text, part), 1, "{part:?} in {text}");
        }
    }
    let cause = error.manager_error::<Layer>();
    assert_eq!(cause.map(ToString::to_string).as_deref(), Some("db error"), "the driver's error is at hand");
}

/// Some errors tell their source themselves, some tell it and more, and some say the same at each link.
#[test]
fn what_has_been_said_is_not_said_again() {
    for (texts, expected) in [
        (&["query failed: refused", "refused"][..], "query failed: refused"),
        (&["refused", "connection refused (os error 111)"], "connection refused (os error 111)"),
        (&["a", "b", "a: b"], "a: b"),
        (&["same", "same", "same"], "same"),
        (&["no source"], "no source"),
        (&["outer; guide: x/y", "inner; guide: x/z"], "outer: inner"),
        (&["outer", ""], "outer"),
    ] {
        let error = ConnectError::Failed(layers(texts).into());
        assert_eq!(error.to_string(), format!("{expected}; guide: {GUIDE}/troubleshooting/server-down.html"));
    }
}

/// A source that leads back to its own error.
#[derive(Debug)]
struct Cycle(&'static AtomicUsize);

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "turn {}", self.0.fetch_add(1, SeqCst))
    }
}

impl Error for Cycle {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        static AGAIN: Cycle = Cycle(&TURNS);
        Some(&AGAIN)
    }
}

static TURNS: AtomicUsize = AtomicUsize::new(10);

#[test]
fn a_chain_without_an_end_ends() {
    let text = ConnectError::Failed(Cycle(&TURNS).into()).to_string();
    assert!(text.starts_with("turn 10: turn 11: ") && count(&text, "turn ") == 17, "{text}");
}

/// An error whose text panics, as one that locks a poisoned mutex.
#[derive(Debug, Clone)]
struct Mute;

impl fmt::Display for Mute {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no words")
    }
}

impl Error for Mute {}

/// The pool's background makes texts for its log: a panic must end neither it nor the caller.
#[tokio::test(start_paused = true)]
async fn an_error_without_a_text_harms_nobody() {
    let error = refused(Mute).await;
    assert!(error.to_string().contains(": an error whose text cannot be made: "), "{error}");
    assert!(format!("{error:?}").contains("Mute"));
}

/// What the two layers below an error of the operating system say.
const OS: [&str; 2] = ["no route", "the cable is cut"];

fn os_error() -> io::Error {
    io::Error::other(layers(&OS))
}

/// One error of each type that the crate makes, with what its chain has to say: its name is that of the type.
async fn of_every_type() -> Vec<(&'static str, Box<dyn Error>, Vec<&'static str>)> {
    let cause = vec!["db error", PASSWORD];
    let error = refused(db_error()).await;
    let AcquireError::Connect(failed) = refused(db_error()).await else { panic!("it is permanent") };
    let attempt = ConnectError::Failed(db_error().into());
    let pool = Pool::new(Database(db_error(), FailureKind::Transient), config(1)).unwrap();
    let late = pool.acquire_within(ms(50)).await.map(drop).unwrap_err();
    let AcquireError::Timeout(timeout) = pool.acquire_within(ms(50)).await.map(drop).unwrap_err() else {
        panic!("it is transient")
    };
    let wrong = config(0).validate().unwrap_err();
    let refuse = || async { Err::<tokio::io::DuplexStream, _>(os_error()) };
    let dial = PacketManager::new(refuse).connect().await.map(drop).unwrap_err();
    assert!(dial.io_error().is_some());
    #[cfg(feature = "blocking")]
    let of_blocking: Vec<(_, Box<dyn Error>, _)> = {
        use poolhouse::blocking::NewPoolError;
        vec![
            ("NewPoolError", Box::new(NewPoolError::Config(wrong.clone())), vec!["max_connections"]),
            ("NewPoolError", Box::new(NewPoolError::Runtime(os_error())), OS.to_vec()),
        ]
    };
    #[cfg(not(feature = "blocking"))]
    let of_blocking = Vec::new();
    let all: Vec<(_, Box<dyn Error>, _)> = vec![
        ("AcquireError", Box::new(error), cause.clone()),
        ("AcquireError", Box::new(late), cause.clone()),
        ("AcquireTimeout", timeout, cause.clone()),
        ("ConnectFailed", Box::new(failed), cause.clone()),
        ("ConnectError", Box::new(attempt), cause),
        ("PacketError", Box::new(PacketError::from(wrong.clone())), vec!["max_connections"]),
        ("PacketError", Box::new(dial), OS.to_vec()),
        ("ConfigError", Box::new(wrong), vec!["max_connections"]),
    ];
    all.into_iter().chain(of_blocking).collect()
}

#[tokio::test(start_paused = true)]
async fn every_type_tells_its_cause_once() {
    for (name, error, parts) in of_every_type().await {
        let text = printed(&*error);
        for part in parts.into_iter().chain(["; guide: "]) {
            assert_eq!(count(&text, part), 1, "{name}: {part:?} in {text}");
        }
        assert!(error.source().is_none(), "{name}: the text tells the cause, so `source` does not");
    }
}

/// An error type that is added is added above too.
#[tokio::test(start_paused = true)]
async fn no_type_is_missing_above() {
    let mut known: Vec<_> = of_every_type().await.into_iter().map(|(name, ..)| name.to_owned()).collect();
    // Behind a feature.
    known.push("NewPoolError".to_owned());
    // Those that users give to the pool, which gives them to nobody: it takes the error out of a `Failure`.
    known.extend(["Failure", "Discard"].map(str::to_owned));
    // The codec's word to the connection, which says `PacketError::Disconnected`.
    known.push("EndedInFrame".to_owned());
    let mut found = 0;
    for (file, text) in sources() {
        for name in error_types(&text) {
            assert!(known.contains(&name), "{name} of {}", file.display());
            found += 1;
        }
    }
    assert_eq!(found, 10);
}

/// A field that is added to a variant breaks nobody's code.
#[test]
fn a_variant_with_fields_can_get_more() {
    let mut found = 0;
    for (file, text) in sources() {
        let (mut public, mut before) = (false, "");
        for line in text.lines() {
            public = line.starts_with("pub enum ") || (public && line != "}");
            let name = line.strip_prefix("    ").and_then(|line| line.strip_suffix(" {"));
            if let Some(name) = name.filter(|name| public && name.chars().all(char::is_alphanumeric)) {
                assert_eq!(before, "    #[non_exhaustive]", "{name} of {}", file.display());
                found += 1;
            }
            before = line;
        }
    }
    assert!(found > 20, "{found}");
}

/// The files that define what users see.
fn sources() -> Vec<(PathBuf, String)> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let folders = [sources.clone(), sources.join("error"), sources.join("packet")];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let files = files.map(|file| file.unwrap().path());
    let files = files.filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files.map(|file| (file.clone(), std::fs::read_to_string(file).unwrap())).collect()
}

/// The types to which a file gives the trait: by hand, or by a derive above the type.
fn error_types(text: &str) -> Vec<String> {
    let mut lines = text.lines();
    let mut types = Vec::new();
    while let Some(line) = lines.next() {
        let name = if line.starts_with("#[derive(") && line.contains("Error)") {
            lines.find_map(|line| line.strip_prefix("pub enum ").or(line.strip_prefix("pub struct ")))
        } else if line.starts_with("impl") {
            line.split_once(" Error for ").map(|(_, name)| name)
        } else {
            None
        };
        let is_part = |letter: &char| letter.is_alphanumeric();
        types.extend(name.map(|name| name.chars().take_while(is_part).collect::<String>()));
    }
    types
}

/// Counts agree with their nouns.
#[tokio::test(start_paused = true)]
async fn one_is_singular() {
    let pool = Pool::new(Database(db_error(), FailureKind::Transient), config(1)).unwrap();
    let one = PoolConfig { connect_backoff: secs(2), ..config(1) };
    let once = Pool::new(Database(db_error(), FailureKind::Transient), one).unwrap();
    let error = once.acquire_within(ms(500)).await.map(drop).unwrap_err().to_string();
    assert!(error.contains("; 1 failed connect, 500ms ago: db error"), "{error}");
    assert!(error.contains(": 0 of 1 connections are held, "), "{error}");
    let error = pool.acquire_within(secs(5)).await.map(drop).unwrap_err().to_string();
    assert!(error.contains(" failed connects, the last "), "{error}");
}
