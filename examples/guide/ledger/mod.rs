//! A server with transactions, over the packet protocol: a sum that grows at each
//! commit.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use poolhouse::{PacketConnection, PacketError, PacketOptions};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Ledger {
    total: AtomicI64,
    /// Whether the next commit is the end of its connection: done, and never
    /// answered.
    pub(crate) die_at_commit: AtomicBool,
    /// Somebody has asked it to `stall`.
    pub(crate) stalled: Notify,
}

impl Ledger {
    pub(crate) async fn start() -> io::Result<(Arc<Self>, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let ledger = Arc::new(Self::default());
        let serving = Arc::clone(&ledger);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let ledger = Arc::clone(&serving);
                // It ends when the client hangs up, and what was not committed is
                // gone.
                tokio::spawn(async move { ledger.serve(stream).await });
            }
        });
        Ok((ledger, address))
    }

    pub(crate) fn total(&self) -> i64 {
        self.total.load(Ordering::SeqCst)
    }

    async fn serve(&self, stream: TcpStream) -> Result<(), PacketError> {
        let mut client =
            PacketConnection::new(stream, "the client", &PacketOptions::default());
        let mut pending = 0;
        loop {
            let packet = client.receive().await?;
            let command = String::from_utf8_lossy(&packet).into_owned();
            let answer = match command.split_once(' ').unwrap_or((&command, "")) {
                // As in PostgreSQL, a second begin changes nothing.
                ("begin", _) => "ok",
                ("add", amount) => match amount.parse::<i64>() {
                    Ok(amount) => {
                        pending += amount;
                        "ok"
                    }
                    Err(_) => "no: that is no number",
                },
                ("commit", _) => {
                    self.total
                        .fetch_add(std::mem::take(&mut pending), Ordering::SeqCst);
                    if self.die_at_commit.swap(false, Ordering::SeqCst) {
                        return Ok(());
                    }
                    "ok"
                }
                ("rollback", _) => {
                    pending = 0;
                    "ok"
                }
                ("stall", _) => {
                    self.stalled.notify_one();
                    std::future::pending().await
                }
                _ => "no: unknown command",
            };
            client.send_packet(answer).await?;
        }
    }
}
