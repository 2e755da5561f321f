//! A proxy that closes connections without a word, as a firewall or a restarted proxy does.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use poolhouse::Pool;
use poolhouse_postgres::PostgresManager;

use crate::common::{Result, config, url};
use crate::shared_or_skip;

/// Passes one connection after the other on. A message on the channel ends the one of now; the answer says that it has ended.
fn forward(
    listener: &TcpListener,
    to: u16,
    ends: &mpsc::Receiver<()>,
    ended: &mpsc::Sender<()>,
) -> io::Result<()> {
    loop {
        let (client, _) = listener.accept()?;
        let server = TcpStream::connect(("127.0.0.1", to))?;
        for (from, into) in [(&client, &server), (&server, &client)] {
            let (mut from, mut into) = (from.try_clone()?, into.try_clone()?);
            std::thread::spawn(move || io::copy(&mut from, &mut into));
        }
        if ends.recv().is_err() {
            return Ok(());
        }
        client.shutdown(Shutdown::Both)?;
        server.shutdown(Shutdown::Both)?;
        if ended.send(()).is_err() {
            return Ok(());
        }
    }
}

/// `health.known_dead`, with the runtime at its laziest: one thread, which has not looked since.
#[tokio::test]
async fn a_connection_that_was_closed_without_a_word_is_not_handed_out() -> Result {
    let server = shared_or_skip!();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let (end, ends) = mpsc::channel();
    let (ended, has_ended) = mpsc::channel();
    let to = server.port();
    std::thread::spawn(move || forward(&listener, to, &ends, &ended));
    let pool = Pool::new(PostgresManager::from_url(&url(port, "silent"))?, config(1))?;
    for _ in 0..5 {
        // It leaves nothing to undo, so the runtime gets no turn between the release and the next acquire.
        pool.acquire().await?.batch_execute("SELECT 1").await?;
        end.send(())?;
        // It blocks the runtime's only thread.
        has_ended.recv()?;
        // The pool looks at a connection once a millisecond at most.
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(pool.stats().connections_created, 5);
    Ok(())
}
