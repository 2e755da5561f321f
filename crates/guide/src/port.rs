//! Ports: the wanted one, or the next that is free.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result};

/// How many ports to try before giving up.
const TRIES: u16 = 100;

/// The ports to try in turn. Port 0 means any free one, so it is tried alone.
pub(crate) fn candidates(wanted: u16) -> impl Iterator<Item = u16> {
    let last = if wanted == 0 { 0 } else { wanted.saturating_add(TRIES - 1) };
    wanted..=last
}

/// Whether another program has the port, so that the next one is worth a try.
pub(crate) fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

/// Listens on the wanted port of the loopback address, or the next free one.
pub(crate) fn listen(wanted: u16) -> Result<TcpListener> {
    let mut taken = None;
    for port in candidates(wanted) {
        match TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))) {
            Ok(listener) => {
                // Tokio takes over sockets that do not block.
                listener.set_nonblocking(true)?;
                return Ok(listener);
            }
            Err(error) if is_taken(&error) => taken = Some(error),
            Err(error) => return Err(error).with_context(|| cannot_listen(wanted)),
        }
    }
    Err(taken.unwrap_or_else(|| io::ErrorKind::AddrInUse.into())).with_context(|| cannot_listen(wanted))
}

pub(crate) fn cannot_listen(wanted: u16) -> String {
    format!("no port from {wanted} on can be listened on; choose another with --port or --echo-port")
}

/// What to tell the user when the port is not the one that was asked for.
pub(crate) fn note(wanted: u16, got: u16) -> String {
    if wanted == 0 || wanted == got { String::new() } else { format!("  (port {wanted} is taken)") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ports_do_not_overflow() {
        assert_eq!(candidates(65_530).last(), Some(65_535));
        assert_eq!(candidates(0).collect::<Vec<_>>(), [0]);
        assert_eq!(candidates(3000).count(), 100);
    }

    #[test]
    fn a_taken_port_gives_the_next_one() {
        let first = listen(0).unwrap();
        let taken = first.local_addr().unwrap().port();
        let second = listen(taken).unwrap().local_addr().unwrap();
        assert!(second.port() > taken, "{second}");
        assert!(second.ip().is_loopback());
        assert!(note(taken, second.port()).contains(&taken.to_string()));
    }
}
