//! The command line: the switches, and what to do with them.
//!
//! The binary of this crate is a thin wrapper around [`serve`]. Another tool gets the same switches by flattening
//! [`ServeArgs`], or [`FaultArgs`] alone, into its own.

use std::future::Future;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;

use crate::{DEFAULT_MAX_FRAME_LENGTH, EchoServer, Faults, Reply};

/// The switches of an echo server: where it listens, and its faults.
///
/// ```
/// use clap::Parser;
/// use poolhouse_echo::{Faults, Reply, ServeArgs};
///
/// #[derive(Parser)]
/// struct Cli {
///     #[command(flatten)]
///     serve: ServeArgs,
/// }
///
/// let cli = Cli::try_parse_from(["tool", "--listen", "127.0.0.1:0", "--reply", "never"]).unwrap();
/// assert_eq!(cli.serve.listen, "127.0.0.1:0");
/// assert_eq!(Faults::from(cli.serve.faults), Faults { reply: Reply::Never, ..Faults::default() });
/// ```
#[derive(Args, Clone, Debug, PartialEq, Eq)]
// Else a subcommand made of this struct would show its documentation, example and all, as its help.
#[command(about = "Run an echo server with faults on demand", long_about = None)]
pub struct ServeArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5555")]
    pub listen: String,
    /// The longest payload to accept, in bytes; a client that announces more is disconnected
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_FRAME_LENGTH, value_parser = parse_length)]
    pub max_frame_length: usize,
    /// What the server does wrong.
    #[command(flatten)]
    pub faults: FaultArgs,
}

/// The switches for [`Faults`], one a fault, by the same names. `Faults::from` turns them into faults.
///
/// A time is a number and a unit, such as `20ms`, `1s` or `5m`. A range is two times, such as `5ms..50ms`, both
/// included.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Faults", about = None, long_about = None)]
pub struct FaultArgs {
    /// Wait this long before each reply, such as 20ms
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub latency: Option<Duration>,
    /// Wait a random time before each reply, such as 5ms..50ms; it adds to --latency
    #[arg(long, value_name = "FROM..TO", value_parser = parse_range)]
    pub random_latency: Option<RangeInclusive<Duration>>,
    /// Repeat the random times and the noise of another run with the same seed
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub seed: u64,
    /// Close a connection on which no whole frame was completed for this long, such as 5m
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub close_idle_after: Option<Duration>,
    /// Close a connection after its reply to this many frames
    #[arg(long, value_name = "FRAMES")]
    pub close_after_frames: Option<u64>,
    /// Refuse a connection while this many are open
    #[arg(long, value_name = "CONNECTIONS")]
    pub max_connections: Option<u64>,
    /// What to answer a frame with
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    pub reply: Reply,
}

impl From<FaultArgs> for Faults {
    fn from(args: FaultArgs) -> Faults {
        // In full, so that a new switch cannot be forgotten here.
        let FaultArgs {
            latency,
            random_latency,
            seed,
            close_idle_after,
            close_after_frames,
            max_connections,
            reply,
        } = args;
        Faults { latency, random_latency, seed, close_idle_after, close_after_frames, max_connections, reply }
    }
}

/// Serves until Ctrl-C, and on Unix until SIGTERM too.
///
/// It writes `listening on 127.0.0.1:5555` with the address it got, then one line a fault, and flushes. In the end it
/// closes every connection and writes one line with the counts.
///
/// # Errors
///
/// The address cannot be listened on, or `out` cannot be written to.
///
/// # Panics
///
/// Outside a tokio runtime with its I/O and time drivers enabled.
pub async fn serve(args: ServeArgs, out: &mut impl Write) -> io::Result<()> {
    // First, so that a signal sent by a reader of the first line is not lost.
    let interrupted = interrupted()?;
    serve_until(args, out, interrupted).await
}

/// Serves as [`serve`] does, but until `end` resolves, and heeds no signal.
///
/// ```
/// use poolhouse_echo::{FaultArgs, ServeArgs, serve_until};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let args = ServeArgs {
///     listen: "127.0.0.1:0".to_owned(),
///     max_frame_length: 1024,
///     faults: FaultArgs { max_connections: Some(3), ..FaultArgs::default() },
/// };
/// let mut out = Vec::new();
/// serve_until(args, &mut out, async {}).await?;
///
/// let out = String::from_utf8(out).unwrap();
/// let mut lines = out.lines();
/// assert!(lines.next().unwrap().starts_with("listening on 127.0.0.1:"));
/// assert_eq!(lines.next(), Some("max connections: refuses any beyond 3"));
/// assert!(lines.next().unwrap().starts_with("accepted 0, refused 0"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As for [`serve`].
///
/// # Panics
///
/// As for [`serve`].
pub async fn serve_until(
    args: ServeArgs,
    out: &mut impl Write,
    end: impl Future<Output = ()>,
) -> io::Result<()> {
    let faults = Faults::from(args.faults);
    let lines = faults.lines();
    let server = EchoServer::builder()
        .listen(args.listen)
        .faults(faults)
        .max_frame_length(args.max_frame_length)
        .start()
        .await?;
    writeln!(out, "listening on {}", server.addr())?;
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    end.await;
    server.stop().await;
    writeln!(out, "{}", server.counts())?;
    out.flush()
}

/// Resolves when the user asks the program to end: Ctrl-C, and SIGTERM on Unix. It listens from this call on, not from
/// the first poll.
///
/// # Errors
///
/// The signals cannot be listened for.
///
/// # Panics
///
/// Outside of a tokio runtime.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// let interrupted = poolhouse_echo::interrupted()?;
/// interrupted.await;
/// # Ok(())
/// # }
/// ```
#[cfg(unix)]
pub fn interrupted() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Resolves when the user asks the program to end: Ctrl-C, and SIGTERM on Unix. It listens from this call on, not from
/// the first poll.
///
/// # Errors
///
/// The signals cannot be listened for.
///
/// # Panics
///
/// Outside of a tokio runtime.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// let interrupted = poolhouse_echo::interrupted()?;
/// interrupted.await;
/// # Ok(())
/// # }
/// ```
#[cfg(not(unix))]
pub fn interrupted() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a way to hear of Ctrl-C the program still ends by it, only without its last line.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

fn parse_time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write a time such as 20ms, 1s or 5m"))
}

fn parse_length(text: &str) -> Result<usize, String> {
    let most = u32::MAX;
    let length: u32 = text.parse().map_err(|error| {
        format!("{error}; the header of a frame can say 0 to {most}, so write such a number")
    })?;
    usize::try_from(length).map_err(|error| error.to_string())
}

fn parse_range(text: &str) -> Result<RangeInclusive<Duration>, String> {
    let (from, to) = text.split_once("..").ok_or("write a range of times such as 5ms..50ms")?;
    // Rust's own inclusive form is what a Rust programmer may well type, and it means the same.
    let (from, to) = (parse_time(from)?, parse_time(to.strip_prefix('=').unwrap_or(to))?);
    if from > to {
        return Err(format!("the range ends before it starts; write {to:?}..{from:?}"));
    }
    Ok(from..=to)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        serve: ServeArgs,
    }

    fn parse(args: &str) -> Result<ServeArgs, clap::Error> {
        Cli::try_parse_from(["echo"].into_iter().chain(args.split_whitespace())).map(|cli| cli.serve)
    }

    /// What the user reads after giving `args`.
    fn complaint(args: &str) -> String {
        parse(args).expect_err("these switches are wrong").to_string()
    }

    #[test]
    fn the_switches_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_switches_mean_the_defaults() {
        let args = parse("").unwrap();
        assert_eq!(args.listen, "127.0.0.1:5555");
        assert_eq!(args.max_frame_length, 16 * 1024 * 1024);
        assert_eq!(Faults::from(args.faults), Faults::default());
    }

    #[test]
    fn every_fault_has_a_switch() {
        let args = parse(
            "--latency 20ms --random-latency 5ms..50ms --seed 7 --close-idle-after 5m --close-after-frames 100 \
             --max-connections 3 --reply half-then-close --listen 0.0.0.0:1 --max-frame-length 64",
        )
        .unwrap();
        assert_eq!((args.listen.as_str(), args.max_frame_length), ("0.0.0.0:1", 64));
        let expected = Faults {
            latency: Some(Duration::from_millis(20)),
            random_latency: Some(Duration::from_millis(5)..=Duration::from_millis(50)),
            seed: 7,
            close_idle_after: Some(Duration::from_secs(300)),
            close_after_frames: Some(100),
            max_connections: Some(3),
            reply: Reply::HalfThenClose,
        };
        assert_eq!(Faults::from(args.faults), expected);
    }

    #[test]
    fn every_reply_has_a_name() {
        for (name, reply) in [
            ("echo", Reply::Echo),
            ("never", Reply::Never),
            ("half-then-stall", Reply::HalfThenStall),
            ("half-then-close", Reply::HalfThenClose),
            ("garbage", Reply::Garbage),
            ("crosstalk", Reply::Crosstalk),
            ("reset", Reply::Reset),
        ] {
            assert_eq!(parse(&format!("--reply {name}")).unwrap().faults.reply, reply);
        }
    }

    #[test]
    fn a_complaint_names_the_switch_and_the_value_and_shows_a_right_one() {
        for (args, switch, value, hint) in [
            ("--latency soon", "--latency", "'soon'", "20ms"),
            ("--latency 20", "--latency", "'20'", "20ms"),
            ("--close-idle-after -1s", "", "-1", ""),
            ("--close-idle-after 5x", "--close-idle-after", "'5x'", "5m"),
            ("--random-latency 5ms", "--random-latency", "'5ms'", "5ms..50ms"),
            ("--random-latency 50ms..5ms", "--random-latency", "'50ms..5ms'", "5ms..50ms"),
            ("--random-latency 5ms..", "--random-latency", "'5ms..'", "20ms"),
            ("--max-connections many", "--max-connections", "'many'", "digit"),
            (
                "--max-frame-length 18446744073709551615",
                "--max-frame-length",
                "'18446744073709551615'",
                "4294967295",
            ),
            ("--max-frame-length 4294967296", "--max-frame-length", "'4294967296'", "4294967295"),
            ("--reply nothing", "--reply", "'nothing'", "half-then-stall"),
        ] {
            let complaint = complaint(args);
            for part in [switch, value, hint] {
                assert!(complaint.contains(part), "`{args}` should be told of `{part}`: {complaint}");
            }
        }
    }

    #[test]
    fn a_range_may_be_written_as_rust_writes_it() {
        let ms = Duration::from_millis;
        assert_eq!(parse_range("5ms..=50ms"), Ok(ms(5)..=ms(50)));
        assert_eq!(parse_range("5ms..5ms"), Ok(ms(5)..=ms(5)));
    }
}
