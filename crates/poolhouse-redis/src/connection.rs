//! A connection: redis-rs' multiplexed one, lent to one holder at a time, and what the pool has to know of it.
//!
//! Why the multiplexed connection, if nobody is to share it: it is the only asynchronous one that redis-rs has (`aio::Connection`
//! went with 1.0), and its own task reads and writes. So a command whose future is dropped is still written to its end, and its
//! reply still goes to the place that was kept for it: a dropped future cannot tear a command, nor move a reply on to the next
//! one. What it lacks as a pooled connection is here. It can be cloned, and a holder who keeps a clone is a second holder: this
//! type cannot, and does not show it. It does not tell what it still waits for: this type counts. And it does not know what
//! a holder has made of the session: see `session.rs`.

use std::fmt;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    Client, Cmd, ErrorKind, Pipeline, ProtocolVersion, RedisError, RedisFuture, RedisResult, ServerErrorKind,
    Value,
};
use tokio::time::timeout;

use crate::dial::Line;
use crate::error::ConnectionError;
use crate::session::{Effect, Session};

/// A connection to Redis that one holder has for itself. It has all methods of [`redis::AsyncCommands`], and runs any
/// [`redis::cmd`] and [`redis::pipe`].
///
/// It cannot be cloned. What a holder leaves behind is dealt with by the pool, off the caller's path and before anybody else
/// gets the connection: replies that are still owed, `WATCH`, `MULTI`, `SELECT`, a changed user or name, subscriptions.
///
/// # Cancel safety
///
/// A command's future may be dropped at any time. The command may have been sent, and Redis then runs it; its reply reaches
/// nobody. Later commands of the same holder get their own replies, after it: give the connection back after a `BLPOP` that you
/// have given up.
///
/// ```no_run
/// # async fn a(pool: poolhouse_redis::RedisPool) -> Result<(), Box<dyn std::error::Error>> {
/// use redis::AsyncCommands;
///
/// let mut connection = pool.acquire().await?;
/// let () = connection.set("visits", 7).await?;
/// let visits: u32 = connection.get("visits").await?;
///
/// // A function of redis-rs wants the connection itself: `&mut *connection`.
/// let (visits,): (u32,) = redis::pipe().atomic().incr("visits", 1).query_async(&mut *connection).await?;
/// # Ok(())
/// # }
/// ```
pub struct RedisConnection {
    inner: MultiplexedConnection,
    /// `None` with TLS.
    line: Option<Line>,
    protocol: ProtocolVersion,
    session: Session,
    /// Commands that may have been sent, and whose replies nobody has seen.
    owed: usize,
    broken: bool,
    /// The server has refused to write.
    read_only: bool,
    /// The number in the last `PING` or `ECHO` of the pool's.
    mark: u64,
}

impl RedisConnection {
    pub(crate) fn new(inner: MultiplexedConnection, line: Option<Line>, protocol: ProtocolVersion) -> Self {
        Self {
            inner,
            line,
            protocol,
            session: Session::default(),
            owed: 0,
            broken: false,
            read_only: false,
            mark: 0,
        }
    }

    /// How many commands were given up before their replies came, and may still be owed one.
    ///
    /// Replies come in the order of the commands: a command that is answered settles all before it.
    ///
    /// ```no_run
    /// # async fn a(pool: poolhouse_redis::RedisPool) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use redis::AsyncCommands;
    ///
    /// let mut connection = pool.acquire().await?;
    /// let soon = Duration::from_millis(1);
    /// if tokio::time::timeout(soon, connection.get::<_, String>("large")).await.is_err() {
    ///     assert_eq!(connection.owed(), 1);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn owed(&self) -> usize {
        self.owed
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.line.as_ref().is_some_and(Line::has_ended)
    }

    pub(crate) fn refusal(&self) -> Option<String> {
        self.line.as_ref().and_then(Line::refusal)
    }

    pub(crate) fn is_reusable(&self, drain_at_most: usize) -> bool {
        let spoiled = self.broken || self.read_only || self.session.ruined;
        let blocked = self.session.blocks && self.owed > 0;
        !spoiled && !blocked && self.owed <= drain_at_most
    }

    pub(crate) fn needs_reset(&self) -> bool {
        self.owed > 0 || !self.session.is_clean()
    }

    /// A command that has never been sent on this connection, and the one reply that it can have.
    fn numbered(&mut self, name: &str) -> (Cmd, Value) {
        self.mark += 1;
        let mark = self.mark.to_string();
        let mut cmd = redis::cmd(name);
        cmd.arg(&mark);
        (cmd, Value::BulkString(mark.into_bytes()))
    }

    /// Most errors are a sign of life. Of a server that cannot write its data to disk (`MISCONF`) `PING` is refused, and reads
    /// are not; a user may be allowed everything else (`NOPERM`).
    pub(crate) async fn ping(&mut self) -> Result<(), ConnectionError> {
        let (ping, pong) = self.numbered("PING");
        match self.inner.send_packed_command(&ping).await.map_err(ConnectionError::Command)? {
            Value::ServerError(error) if refuses_everything(&error) => {
                Err(ConnectionError::Command(error.into()))
            }
            Value::ServerError(_) => Ok(()),
            answer if answer == pong => Ok(()),
            _ => Err(ConnectionError::OutOfStep),
        }
    }

    /// Sends what each session begins with. That is not a holder's, and is not undone.
    pub(crate) async fn begin(&mut self, commands: &Pipeline) -> Result<(), ConnectionError> {
        if commands.is_empty() {
            return Ok(());
        }
        let sent = self.inner.send_packed_commands(commands, 0, commands.len());
        for answer in sent.await.map_err(ConnectionError::Command)? {
            if let Value::ServerError(error) = answer {
                return Err(ConnectionError::Command(error.into()));
            }
        }
        Ok(())
    }

    /// Undoes what has been left behind, in one round trip. Its last command is an `ECHO` with a number of its own. Replies come
    /// in order, so when that number comes back as the reply to that `ECHO`, nothing is owed any more, and no reply is out of
    /// step. `drain_within` bounds it if something is owed. Not `PING`, which is refused where data is read or cannot be written.
    pub(crate) async fn restore(
        &mut self,
        client: &Client,
        on_connect: &Pipeline,
        drain_within: Duration,
    ) -> Result<(), ConnectionError> {
        let mut commands = self.undoing(client, on_connect);
        let (echo, echoed) = self.numbered("ECHO");
        let count = commands.len() + 1;
        let answers = self.inner.send_packed_commands(commands.add_command(echo), 0, count);
        let answers = if self.owed == 0 {
            answers.await
        } else {
            timeout(drain_within, answers).await.map_err(|_| ConnectionError::Unanswered)?
        };
        let mut answers = answers.map_err(ConnectionError::Command)?;
        match answers.pop() {
            Some(answer) if answer == echoed && answers.len() + 1 == count => {}
            // A script that does not end, or a user who may not: there is no proof, but a reason to tell.
            Some(Value::ServerError(error)) => return Err(ConnectionError::Command(error.into())),
            _ => return Err(ConnectionError::OutOfStep),
        }
        for (command, answer) in commands.cmd_iter().zip(answers) {
            match answer {
                // The transaction had ended already, or not begun.
                Value::ServerError(_) if Effect::of(command) == Effect::Ends => {}
                Value::ServerError(error) => return Err(ConnectionError::Command(error.into())),
                _ => {}
            }
        }
        self.session = Session::default();
        self.owed = 0;
        Ok(())
    }

    /// The fewest commands that undo it. `RESET` also logs out, so it is only used for what nothing else undoes: by then the
    /// password may be another one.
    fn undoing(&self, client: &Client, on_connect: &Pipeline) -> Pipeline {
        let (mut commands, info) = (redis::pipe(), client.get_connection_info().redis_settings());
        if self.session.changed {
            commands.cmd("RESET");
            let login = info.password().map(|password| (info.username(), password));
            if self.protocol == ProtocolVersion::RESP2 {
                if let Some((user, password)) = login {
                    commands.cmd("AUTH").arg(user).arg(password);
                }
            } else {
                commands.cmd("HELLO").arg(3);
                if let Some((user, password)) = login {
                    commands.arg("AUTH").arg(user.unwrap_or("default")).arg(password);
                }
            }
            // That of the connection: the client may be another one by now.
            if self.inner.get_db() != 0 {
                commands.cmd("SELECT").arg(self.inner.get_db());
            }
            for command in on_connect.cmd_iter() {
                commands.add_command(command.clone());
            }
            return commands;
        }
        if self.session.in_transaction {
            // It unwatches too.
            commands.cmd("DISCARD");
        }
        if self.session.watches {
            commands.cmd("UNWATCH");
        }
        if self.session.selected {
            commands.cmd("SELECT").arg(self.inner.get_db());
            for command in on_connect.cmd_iter().filter(|command| Effect::of(command) == Effect::Selects) {
                commands.add_command(command.clone());
            }
        }
        commands
    }

    /// What came of a command, told from the result. `before` is what was owed when it was sent.
    fn settle<T>(&mut self, before: usize, result: &RedisResult<T>) {
        let Err(error) = result else { return self.on_answered() };
        match error.kind() {
            // It has been sent, and its reply will come.
            _ if error.is_timeout() => {}
            ErrorKind::Io | ErrorKind::Parse => self.broken = true,
            // It has not been sent.
            ErrorKind::Client => self.owed = before,
            _ => {
                self.on_answered();
                self.look_for_read_only(error);
            }
        }
    }

    fn on_answered(&mut self) {
        self.owed = 0;
        self.session.blocks = false;
    }

    fn look_for_read_only(&mut self, error: &RedisError) {
        let errors = error.clone().into_server_errors();
        let refused =
            |(_, error): &(usize, redis::ServerError)| error.kind() == Some(ServerErrorKind::ReadOnly);
        self.read_only |= errors.is_some_and(|errors| errors.iter().any(refused));
    }

    fn look_at(&mut self, effect: Effect, answer: &Value) {
        if let Value::ServerError(error) = answer {
            self.read_only |= error.kind() == Some(ServerErrorKind::ReadOnly);
        }
        self.session.on_answered(effect, answer);
    }

    async fn run(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        let (effect, before) = (Effect::of(cmd), self.owed);
        self.session.on_sent(effect);
        // Until the reply is here. A future that is dropped meanwhile leaves it so.
        self.owed += 1;
        let result = self.inner.send_packed_command(cmd).await;
        if cmd.is_no_response() && result.is_ok() {
            return result;
        }
        self.settle(before, &result);
        if let Ok(answer) = &result {
            self.look_at(effect, answer);
        }
        result
    }

    async fn run_all(&mut self, pipeline: &Pipeline, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        let before = self.owed;
        for cmd in pipeline.cmd_iter() {
            self.session.on_sent(Effect::of(cmd));
        }
        if pipeline.is_transaction() {
            self.session.on_sent(Effect::Begins);
        }
        self.owed += pipeline.len().max(1);
        let result = self.inner.send_packed_commands(pipeline, offset, count).await;
        match &result {
            Ok(answers) if pipeline.is_transaction() => {
                if let [answer] = &answers[..] {
                    self.look_at(Effect::Ends, answer);
                }
            }
            Ok(answers) => {
                for (cmd, answer) in pipeline.cmd_iter().zip(answers) {
                    let effect = Effect::of(cmd);
                    // Again, in their order: `EXEC` ends what is before it, and not the `MULTI` or `WATCH` behind it.
                    self.session.on_sent(effect);
                    self.look_at(effect, answer);
                }
            }
            // The server has thrown the transaction away.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ExecAbort) => {
                self.session.end_transaction();
            }
            Err(_) => {}
        }
        if pipeline.is_transaction() {
            // What is among them may have ended the transaction early, and what came behind that has then had its effect.
            for cmd in pipeline.cmd_iter() {
                self.session.on_sent(Effect::of(cmd));
            }
        }
        self.settle(before, &result);
        result
    }
}

/// No password given, data still being read, a replica that has lost its primary, no room.
fn refuses_everything(error: &redis::ServerError) -> bool {
    matches!(error.code(), "NOAUTH" | "LOADING" | "MASTERDOWN")
        || error.details().is_some_and(|details| details.contains("max number of clients"))
}

impl ConnectionLike for RedisConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.run(cmd))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(self.run_all(pipeline, offset, count))
    }

    fn get_db(&self) -> i64 {
        self.inner.get_db()
    }
}

impl fmt::Debug for RedisConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConnection")
            .field("owed", &self.owed)
            .field("session", &self.session)
            .field("broken", &self.broken)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}
