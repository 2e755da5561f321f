//! One connection to the store: what is sent, what is owed, and what is refused.

use std::io;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_util::codec::{Framed, LinesCodec, LinesCodecError};

/// The longest line in either direction, in bytes. A longer one is an error before
/// it is in memory.
pub const MAX_LINE: usize = 4096;

// ANCHOR: error
#[derive(Debug, Error)]
pub enum KvError {
    #[error("{0}")]
    Dial(#[source] io::Error),
    #[error("the store closed the connection; invalidate it")]
    Closed,
    #[error("no answer within {0:?}; invalidate the connection")]
    TimedOut(Duration),
    #[error("I/O failed: {0}; invalidate the connection")]
    Io(#[source] io::Error),
    #[error("this is not the protocol: {0}; invalidate the connection")]
    Protocol(&'static str),
    #[error("the store speaks another version of the protocol")]
    Version,
    /// An answer like any other: the connection is as good as before.
    #[error("the store answered {code}")]
    Refused { code: String },
    /// Found before a byte was sent.
    #[error(
        "a key or value must not be empty or hold white space, and must be short"
    )]
    BadWord,
}
// ANCHOR_END: error

impl KvError {
    pub fn is_refused(&self, with: &str) -> bool {
        matches!(self, Self::Refused { code } if code == with)
    }
}

// ANCHOR: connection
pub struct KvConnection<S> {
    lines: Framed<S, LinesCodec>,
    /// Answers that are to come. Anything but zero means that the next caller
    /// would read somebody else's.
    owed: u32,
    io_timeout: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> KvConnection<S> {
    pub fn new(stream: S, io_timeout: Duration) -> Self {
        let lines = Framed::new(stream, LinesCodec::new_with_max_length(MAX_LINE));
        // The server speaks first: its greeting is owed from the start.
        Self { lines, owed: 1, io_timeout }
    }

    /// One request, one answer. Not cancel safe, and it need not be: a call that
    /// is dropped leaves `owed` above zero.
    async fn call(&mut self, request: &str) -> Result<String, KvError> {
        // Before the first await, and taken back only when a whole answer is here.
        self.owed += 1;
        let limit = self.io_timeout;
        let exchange = async {
            self.lines.send(request).await.map_err(explain)?;
            self.answer().await
        };
        timeout(limit, exchange).await.map_err(|_| KvError::TimedOut(limit))?
    }

    /// The next answer. An answer that says no is still an answer: after it,
    /// nothing is owed.
    async fn answer(&mut self) -> Result<String, KvError> {
        let line =
            self.lines.next().await.ok_or(KvError::Closed)?.map_err(explain)?;
        let Some((kind, text)) = line.split_at_checked(1) else {
            return Err(KvError::Protocol("an empty line"));
        };
        let answer = match kind {
            "+" => Ok(text.to_owned()),
            "-" => Err(KvError::Refused { code: text.to_owned() }),
            _ => {
                return Err(KvError::Protocol(
                    "an answer that begins with neither + nor -",
                ));
            }
        };
        self.owed -= 1;
        answer
    }
}

fn explain(error: LinesCodecError) -> KvError {
    match error {
        LinesCodecError::MaxLineLengthExceeded => {
            KvError::Protocol("a line that is too long")
        }
        LinesCodecError::Io(source) => KvError::Io(source),
    }
}
// ANCHOR_END: connection

// ANCHOR: commands
impl<S: AsyncRead + AsyncWrite + Unpin> KvConnection<S> {
    pub async fn get(&mut self, key: &str) -> Result<Option<String>, KvError> {
        match self.call(&format!("GET {}", word(key)?)).await {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_refused("NOTFOUND") => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub async fn set(&mut self, key: &str, value: &str) -> Result<(), KvError> {
        self.call(&format!("SET {} {}", word(key)?, word(value)?)).await.map(drop)
    }

    pub async fn ping(&mut self) -> Result<(), KvError> {
        match self.call("PING").await?.as_str() {
            "PONG" => Ok(()),
            _ => Err(KvError::Protocol("something else than PONG")),
        }
    }
}

/// A line break in a key would make two requests of one, and every later answer
/// would be off by one.
fn word(text: &str) -> Result<&str, KvError> {
    let fits = !text.is_empty()
        && text.len() <= MAX_LINE / 4
        && !text.contains(char::is_whitespace);
    fits.then_some(text).ok_or(KvError::BadWord)
}
// ANCHOR_END: commands

// ANCHOR: keys
impl<S: AsyncRead + AsyncWrite + Unpin> KvConnection<S> {
    /// Begins a list: many lines, then an end. The end is what is owed.
    pub async fn keys(&mut self) -> Result<Keys<'_, S>, KvError> {
        self.owed += 1;
        let limit = self.io_timeout;
        let sent = timeout(limit, self.lines.send("KEYS")).await;
        sent.map_err(|_| KvError::TimedOut(limit))?.map_err(explain)?;
        Ok(Keys(self))
    }
}

/// A list that is being read. Dropped before its end, it leaves the end owed.
pub struct Keys<'a, S>(&'a mut KvConnection<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Keys<'_, S> {
    pub async fn next(&mut self) -> Result<Option<String>, KvError> {
        let limit = self.0.io_timeout;
        let line = timeout(limit, self.0.lines.next())
            .await
            .map_err(|_| KvError::TimedOut(limit))?;
        let line = line.ok_or(KvError::Closed)?.map_err(explain)?;
        if let Some(key) = line.strip_prefix('*') {
            return Ok(Some(key.to_owned()));
        }
        if line != "+OK" {
            return Err(KvError::Protocol(
                "a list that ends otherwise than with OK",
            ));
        }
        self.0.owed -= 1;
        Ok(None)
    }

    /// Reads the rest, if it is no more than so many keys. Whether the end was
    /// reached.
    pub async fn drain(mut self, at_most: usize) -> Result<bool, KvError> {
        for _ in 0..=at_most {
            if self.next().await?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
// ANCHOR_END: keys

// ANCHOR: handshake
impl<S: AsyncRead + AsyncWrite + Unpin> KvConnection<S> {
    pub async fn log_in(
        &mut self,
        user: &str,
        secret: &str,
    ) -> Result<(), KvError> {
        let limit = self.io_timeout;
        let greeting = timeout(limit, self.answer())
            .await
            .map_err(|_| KvError::TimedOut(limit))??;
        if greeting != "KV 1" {
            return Err(KvError::Version);
        }
        self.call(&format!("AUTH {} {}", word(user)?, word(secret)?))
            .await
            .map(drop)
    }
}
// ANCHOR_END: handshake

// ANCHOR: settled
impl<S: AsyncRead + AsyncWrite + Unpin> KvConnection<S> {
    /// Whether nothing is owed and no byte lies unread, as far as this end knows.
    /// No system call.
    pub fn is_settled(&self) -> bool {
        self.owed == 0 && self.lines.read_buffer().is_empty()
    }

    /// The same, and a look at the stream: a line that nobody asked for, the end
    /// or an error makes it `false`. It polls once and does not wait.
    pub fn is_quiet(&mut self) -> bool {
        let look =
            self.lines.poll_next_unpin(&mut Context::from_waker(Waker::noop()));
        if !matches!(look, Poll::Pending) {
            // What was read is gone: nobody may use this connection again.
            self.owed += 1;
        }
        self.is_settled()
    }

    pub fn stream(&self) -> &S {
        self.lines.get_ref()
    }
}
// ANCHOR_END: settled

/// For the chapters on session state and on failover.
impl<S: AsyncRead + AsyncWrite + Unpin> KvConnection<S> {
    pub async fn use_space(&mut self, space: &str) -> Result<(), KvError> {
        self.call(&format!("USE {}", word(space)?)).await.map(drop)
    }

    pub async fn reset(&mut self) -> Result<(), KvError> {
        self.call("RESET").await.map(drop)
    }

    pub async fn role(&mut self) -> Result<String, KvError> {
        self.call("ROLE").await
    }
}
