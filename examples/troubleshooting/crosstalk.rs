//! A caller gives up half-way, its connection goes back to the pool, and everybody
//! after it reads somebody else's reply.
//!
//! `cargo run --example crosstalk` runs in virtual time against an echo server in
//! memory.

mod trace;

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use poolhouse::{Manager, Pool, PoolConfig};
use poolhouse_echo::{Connector, EchoServer, Faults};
use tokio::io::DuplexStream;
use tokio::time::timeout;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

type AnyError = Box<dyn Error + Send + Sync>;

/// A protocol of our own: one question, one answer. Nothing in an answer says
/// which question it belongs to.
struct Client {
    framed: Framed<DuplexStream, LengthDelimitedCodec>,
    /// A question has gone out, or half of it, and its answer has not been read.
    in_exchange: bool,
}

impl Client {
    // ANCHOR: ask
    async fn ask(&mut self, question: &str) -> io::Result<BytesMut> {
        // Set before the first await, and cleared after the last: a call that is
        // dropped in between leaves it set.
        self.in_exchange = true;
        self.framed.send(Bytes::copy_from_slice(question.as_bytes())).await?;
        let answer =
            self.framed.next().await.ok_or(io::ErrorKind::UnexpectedEof)??;
        self.in_exchange = false;
        Ok(answer)
    }
    // ANCHOR_END: ask
}

struct Questions {
    connector: Connector,
    /// Whether the manager looks at what comes back.
    looks: bool,
}

// ANCHOR: manager
impl Manager for Questions {
    type Connection = Client;
    type Error = io::Error;

    async fn connect(&self) -> io::Result<Client> {
        let framed = Framed::new(
            self.connector.connect().await?,
            LengthDelimitedCodec::new(),
        );
        Ok(Client { framed, in_exchange: false })
    }

    fn is_reusable(&self, client: &mut Client) -> bool {
        !(self.looks && client.in_exchange)
    }
}
// ANCHOR_END: manager

/// Asks for six accounts, one after another. The server is slow for the first,
/// whose caller gives up.
async fn six_callers(
    name: &'static str,
    looks: bool,
    max_uses: Option<u64>,
) -> Result<(), AnyError> {
    let server = EchoServer::in_memory();
    let config =
        PoolConfig { max_connections: 1, max_uses, ..PoolConfig::default() };
    let pool =
        Pool::new(Questions { connector: server.connector(), looks }, config)?;

    server.set_faults(Faults {
        latency: Some(Duration::from_millis(80)),
        ..Faults::default()
    });
    trace::part(name);
    let mut wrong = 0;
    for number in 1..=6 {
        let question = format!("account {number}");
        // ANCHOR: caller
        let mut client = pool.acquire().await?;
        let answer =
            timeout(Duration::from_millis(50), client.ask(&question)).await;
        drop(client);
        // ANCHOR_END: caller
        server.set_faults(Faults::default());
        let before = wrong;
        match answer {
            Err(_) => println!("asked for {question}: gave up"),
            Ok(answer) => {
                let answer = String::from_utf8(answer?.to_vec())?;
                wrong += u32::from(answer != question);
                println!("asked for {question}: got {answer}");
            }
        }
        trace::points([(number, usize::from(wrong > before))]);
    }
    println!("wrong answers: {wrong}");
    println!("connections opened: {}", pool.stats().connections_created);
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    println!("== the symptom");
    six_callers("before the cure", false, None).await?;
    println!("== after the cure");
    six_callers("after the cure", true, None).await?;
    println!("== every connection for one caller only");
    six_callers("one caller only", false, Some(1)).await
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
