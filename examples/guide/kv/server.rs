//! The store itself: bounded reads, a limit on every wait, and counts of what it
//! saw.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_util::codec::{Framed, LinesCodec};

use super::connection::MAX_LINE;

/// How long the server waits for the next request, and for the client to take an
/// answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running store. It stops when it is dropped.
pub struct KvServer {
    state: Arc<State>,
    addr: Option<SocketAddr>,
    accept: Option<AbortHandle>,
}

struct State {
    data: Mutex<Data>,
    /// Sessions by user, and requests by command.
    counts: watch::Sender<Counts>,
    /// Each change closes every session that is open.
    hang_up: watch::Sender<u64>,
}

#[derive(Default)]
struct Data {
    users: HashMap<String, String>,
    values: HashMap<(String, String), String>,
    replica: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Sessions that have logged in and are open, by user.
    pub sessions: BTreeMap<String, usize>,
    /// Logins that were refused.
    pub refused: usize,
    /// Requests, by command.
    pub requests: BTreeMap<String, usize>,
}

impl KvServer {
    /// A store on a free port of 127.0.0.1, with one user.
    pub async fn start(user: &str, secret: &str) -> io::Result<KvServer> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut server = KvServer::in_memory(user, secret);
        server.addr = Some(listener.local_addr()?);
        let state = Arc::clone(&server.state);
        let accept = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&state).serve(stream));
            }
        });
        server.accept = Some(accept.abort_handle());
        Ok(server)
    }

    /// A store without a socket, for tests under a paused clock. Reach it with
    /// [`dial`](KvServer::dial).
    pub fn in_memory(user: &str, secret: &str) -> KvServer {
        let state = State {
            data: Mutex::default(),
            counts: watch::Sender::new(Counts::default()),
            hang_up: watch::Sender::new(0),
        };
        let server = KvServer { state: Arc::new(state), addr: None, accept: None };
        server.allow(user, secret);
        server
    }

    /// A dial function for a store in memory.
    pub fn dial(
        &self,
    ) -> impl Fn() -> std::future::Ready<io::Result<DuplexStream>>
    + Send
    + Sync
    + use<>
    + 'static {
        let state = Arc::clone(&self.state);
        move || {
            let (here, there) = tokio::io::duplex(64 * 1024);
            tokio::spawn(Arc::clone(&state).serve(there));
            std::future::ready(Ok(here))
        }
    }

    pub fn addr(&self) -> io::Result<SocketAddr> {
        self.addr.ok_or_else(|| {
            io::Error::other("this store is in memory and has no address")
        })
    }

    pub fn allow(&self, user: &str, secret: &str) {
        self.state.data().users.insert(user.to_owned(), secret.to_owned());
    }

    pub fn revoke(&self, user: &str) {
        self.state.data().users.remove(user);
    }

    pub fn set_replica(&self, replica: bool) {
        self.state.data().replica = replica;
    }

    /// Closes every session that is open. New ones are welcome.
    pub fn hang_up(&self) {
        self.state.hang_up.send_modify(|times| *times += 1);
    }

    pub fn counts(&self) -> Counts {
        self.state.counts.borrow().clone()
    }

    /// Waits until the counts are as you want them, five seconds at most.
    pub async fn wait_for(
        &self,
        mut wanted: impl FnMut(&Counts) -> bool,
    ) -> io::Result<()> {
        let mut counts = self.state.counts.subscribe();
        match timeout(
            Duration::from_secs(5),
            counts.wait_for(|counts| wanted(counts)),
        )
        .await
        {
            Ok(Ok(_)) => Ok(()),
            _ => Err(io::Error::other(format!(
                "not so within 5 s: {:?}",
                self.counts()
            ))),
        }
    }
}

impl Drop for KvServer {
    fn drop(&mut self) {
        if let Some(accept) = &self.accept {
            accept.abort();
        }
        self.hang_up();
    }
}

/// What the server keeps for one session, and forgets with it.
#[derive(Default)]
struct Session {
    user: Option<String>,
    space: String,
}

impl State {
    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut session = Session::default();
        let mut hang_up = self.hang_up.subscribe();
        tokio::select! {
            _ = hang_up.changed() => {}
            () = self.talk(stream, &mut session) => {}
        }
        if let Some(user) = session.user {
            self.counts.send_modify(|counts| {
                *counts.sessions.entry(user).or_default() -= 1;
            });
        }
    }

    // ANCHOR: talk
    /// Until the client goes, is silent for too long, sends a line that is too
    /// long, or fails to log in.
    async fn talk(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        session: &mut Session,
    ) {
        let mut lines =
            Framed::new(stream, LinesCodec::new_with_max_length(MAX_LINE));
        let mut answer = "+KV 1".to_owned();
        loop {
            let Ok(Ok(())) = timeout(PATIENCE, lines.send(&answer)).await else {
                return;
            };
            if answer == "-AUTH" {
                return;
            }
            let Ok(Some(Ok(line))) = timeout(PATIENCE, lines.next()).await else {
                return;
            };
            answer = self.answer(&line, session);
        }
    }
    // ANCHOR_END: talk

    fn answer(&self, line: &str, session: &mut Session) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        self.counts.send_modify(|counts| {
            *counts.requests.entry(words[0].to_owned()).or_default() += 1;
        });
        let key =
            |key: &str, session: &Session| (session.space.clone(), key.to_owned());
        let mut data = self.data();
        match (words.as_slice(), &session.user) {
            (["AUTH", user, secret], None) => {
                let known =
                    data.users.get(*user).is_some_and(|known| known == secret);
                if !known {
                    self.counts.send_modify(|counts| counts.refused += 1);
                    return "-AUTH".to_owned();
                }
                session.user = Some((*user).to_owned());
                self.counts.send_modify(|counts| {
                    *counts.sessions.entry((*user).to_owned()).or_default() += 1;
                });
                "+OK".to_owned()
            }
            (_, None) => "-AUTH".to_owned(),
            (["PING"], _) => "+PONG".to_owned(),
            (["SET", ..], _) if data.replica => "-READONLY".to_owned(),
            (["SET", name, value], _) => {
                data.values.insert(key(name, session), (*value).to_owned());
                "+OK".to_owned()
            }
            (["GET", name], _) => match data.values.get(&key(name, session)) {
                Some(value) => format!("+{value}"),
                None => "-NOTFOUND".to_owned(),
            },
            (["KEYS"], _) => {
                let mine =
                    data.values.keys().filter(|(space, _)| *space == session.space);
                mine.map(|(_, key)| format!("*{key}\n"))
                    .chain(["+OK".to_owned()])
                    .collect()
            }
            (["USE", space], _) => {
                session.space = (*space).to_owned();
                "+OK".to_owned()
            }
            (["RESET"], _) => {
                session.space.clear();
                "+OK".to_owned()
            }
            (["ROLE"], _) if data.replica => "+replica".to_owned(),
            (["ROLE"], _) => "+primary".to_owned(),
            _ => "-UNKNOWN".to_owned(),
        }
    }
}
