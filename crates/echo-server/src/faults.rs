//! What the server does wrong, as plain data.
//!
//! A [`Faults`] is only a description. What each fault does to a connection is decided in one place, the module that
//! runs connections.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What [`Reply::Crosstalk`] answers the first frame that the server ever receives with. Cut to the server's longest
/// frame if that is shorter.
pub const CROSSTALK_MARKER: &[u8] = b"this reply belongs to another request";

/// What an [`EchoServer`](crate::EchoServer) does wrong. The default is nothing.
///
/// The faults combine. A server may be slow, close idle connections and answer garbage, all at once.
///
/// ```
/// use poolhouse_echo::{Faults, Reply};
/// use std::time::Duration;
///
/// let faults = Faults {
///     latency: Some(Duration::from_millis(20)),
///     max_connections: Some(3),
///     reply: Reply::HalfThenStall,
///     ..Faults::default()
/// };
/// assert_eq!(faults.lines(), [
///     "latency: 20ms before each reply",
///     "max connections: refuses any beyond 3",
///     "reply: half of each frame, then nothing more",
/// ]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Waits this long before each reply.
    ///
    /// A connection is answered in order, so of two frames sent together the second waits twice. A client that hangs
    /// up during the wait is noticed at once, and gets no reply.
    pub latency: Option<Duration>,
    /// Waits a random time from this range before each reply, on top of `latency`. A range whose start is above its
    /// end gives its start.
    pub random_latency: Option<RangeInclusive<Duration>>,
    /// Seeds `random_latency` and the noise of [`Reply::Garbage`].
    ///
    /// The seed fixes the sequence of draws of the first accepted connection, of the second, and so on, whatever the
    /// others do meanwhile. It does not fix which of your clients is accepted first. A connection starts its sequence
    /// anew when the seed changes under it. The sequences may differ between versions of this crate.
    pub seed: u64,
    /// Closes a connection on which no whole frame has been completed for this long, counted from its start or from
    /// its latest reply. A client that dribbles half a frame counts as idle, and so does one that does not read its
    /// reply for this long.
    pub close_idle_after: Option<Duration>,
    /// Closes a connection once it has had its reply to this many frames. With [`Reply::Never`] the frames alone
    /// count. Zero closes every connection that has just been accepted.
    pub close_after_frames: Option<u64>,
    /// Refuses a connection while this many are open. Zero refuses all.
    ///
    /// On a socket the server accepts the connection and closes it at once. That is what a server at its limit looks
    /// like to a client: connecting succeeds and the first read finds the end, or a reset if the client had sent
    /// something. In memory, connecting fails with `ConnectionRefused`. Either way it counts as refused, never as
    /// accepted or open. Connections that are open when the limit falls stay open.
    pub max_connections: Option<u64>,
    /// What to answer a frame with.
    pub reply: Reply,
}

/// What the server answers a frame with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[non_exhaustive]
pub enum Reply {
    /// The frame itself.
    #[default]
    Echo,
    /// Nothing, ever: frames are read and dropped
    Never,
    /// The first half of the frame, then nothing more on this connection
    ///
    /// It is half of all the bytes, the four of the length included, rounded down: never a whole frame. Later frames
    /// on this connection are read and dropped, whatever the faults become.
    HalfThenStall,
    /// The first half of the frame, then the end of the connection
    HalfThenClose,
    /// A length above any limit, then noise
    ///
    /// The length announced is the greatest that four bytes hold, and 32 bytes of noise follow. The connection stays
    /// open: hanging up is the client's job.
    Garbage,
    /// The previous frame that the server received, on whichever connection
    ///
    /// The very first frame is answered with [`CROSSTALK_MARKER`].
    Crosstalk,
    /// No reply but a reset of the connection (RST)
    ///
    /// On a socket the client's next read fails with `ConnectionReset`. A pipe in memory has no reset: there, the
    /// client reads the end of the connection and its next write fails with `BrokenPipe`.
    Reset,
}

impl Reply {
    /// Every reply there is, the faultless one included, in the order of their definition. For tests that go through
    /// all of them.
    ///
    /// ```
    /// use poolhouse_echo::Reply;
    ///
    /// assert_eq!(Reply::all().first(), Some(&Reply::Echo));
    /// ```
    pub fn all() -> &'static [Reply] {
        &[
            Reply::Echo,
            Reply::Never,
            Reply::HalfThenStall,
            Reply::HalfThenClose,
            Reply::Garbage,
            Reply::Crosstalk,
            Reply::Reset,
        ]
    }
}

impl Faults {
    /// The faults in words, one line each. Empty if there are none.
    ///
    /// The seed is a line of its own only when something random is on.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(latency) = self.latency {
            lines.push(format!("latency: {latency:?} before each reply"));
        }
        if let Some(range) = &self.random_latency {
            let (start, end) = (range.start(), range.end());
            lines.push(format!("random latency: {start:?} to {end:?} before each reply"));
        }
        if self.random_latency.is_some() || self.reply == Reply::Garbage {
            lines.push(format!("seed: {}", self.seed));
        }
        if let Some(after) = self.close_idle_after {
            lines.push(format!("close idle after: {after:?} without a frame"));
        }
        if let Some(frames) = self.close_after_frames {
            lines.push(format!("close after frames: {frames} on a connection"));
        }
        if let Some(max) = self.max_connections {
            lines.push(format!("max connections: refuses any beyond {max}"));
        }
        if self.reply != Reply::Echo {
            lines.push(format!("reply: {}", self.reply));
        }
        lines
    }
}

/// The [`lines`](Faults::lines), joined; `no faults` if there are none.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines();
        if lines.is_empty() { f.write_str("no faults") } else { f.write_str(&lines.join("\n")) }
    }
}

/// What the client gets, in a few words.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reply::Echo => "the frame itself",
            Reply::Never => "never",
            Reply::HalfThenStall => "half of each frame, then nothing more",
            Reply::HalfThenClose => "half of each frame, then the end of the connection",
            Reply::Garbage => "a length above any limit, then noise",
            Reply::Crosstalk => "the frame that the server received before",
            Reply::Reset => "a reset of the connection",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_faults_have_no_lines() {
        assert!(Faults::default().lines().is_empty());
        assert_eq!(Faults::default().to_string(), "no faults");
    }

    #[test]
    fn every_fault_has_a_line() {
        let faults = Faults {
            latency: Some(Duration::from_millis(20)),
            random_latency: Some(Duration::from_millis(5)..=Duration::from_millis(50)),
            seed: 7,
            close_idle_after: Some(Duration::from_secs(90)),
            close_after_frames: Some(100),
            max_connections: Some(0),
            reply: Reply::Garbage,
        };
        let expected = "latency: 20ms before each reply\n\
                        random latency: 5ms to 50ms before each reply\n\
                        seed: 7\n\
                        close idle after: 90s without a frame\n\
                        close after frames: 100 on a connection\n\
                        max connections: refuses any beyond 0\n\
                        reply: a length above any limit, then noise";
        assert_eq!(faults.to_string(), expected);
    }

    #[test]
    fn every_reply_but_the_echo_is_a_fault() {
        for &reply in Reply::all().iter().filter(|reply| **reply != Reply::Echo) {
            let lines = Faults { reply, ..Faults::default() }.lines();
            assert_eq!(lines.last(), Some(&format!("reply: {reply}")));
        }
    }

    #[cfg(feature = "cli")]
    #[test]
    fn no_reply_is_left_out() {
        use clap::ValueEnum;
        assert_eq!(Reply::all(), Reply::value_variants());
    }
}
