//! RabbitMQ over lapin: a worked manager that lends channels. The chapter of the
//! guide shows it.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::uri::AMQPUri;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    Error, ErrorKind,
};
use poolhouse::{FailureKind, Manager, RetireReason};
use thiserror::Error as ThisError;
use tokio::sync::Mutex;

// ANCHOR: session
/// A channel that confirms what is published on it. All channels of a pool share a
/// connection.
pub struct Session {
    channel: Channel,
    connection: Arc<Connection>,
    /// Something may be left on the channel: messages without an answer, a
    /// consumer, a future that was dropped.
    used: bool,
}

/// Why a message may not have reached a queue.
#[derive(Debug, ThisError)]
pub enum PublishError {
    /// The broker is short of memory or disk, and reads nothing more from
    /// connections that publish. Nothing was sent.
    #[error("the broker has blocked publishers")]
    Blocked,
    /// No queue is bound for it.
    #[error("no queue takes the message: {0}")]
    Unroutable(String),
    /// The broker did not confirm it.
    #[error("the broker has not taken the message")]
    Refused,
    /// The channel or the connection has failed. Perhaps the message was taken.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl Session {
    /// Publishes a persistent message, and waits until the broker has it in a
    /// queue.
    ///
    /// If the future is dropped, the message may still arrive, even much later.
    ///
    /// # Errors
    ///
    /// The message may not have reached a queue.
    pub async fn publish(
        &mut self,
        exchange: &str,
        routing_key: &str,
        message: &[u8],
    ) -> Result<(), PublishError> {
        if self.connection.status().blocked() {
            return Err(PublishError::Blocked);
        }
        let used = std::mem::replace(&mut self.used, true);
        // Without it, a message that fits no queue is confirmed as well.
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let persistent = BasicProperties::default().with_delivery_mode(2);
        let sent = self
            .channel
            .basic_publish(
                exchange.into(),
                routing_key.into(),
                options,
                message,
                persistent,
            )
            .await?;
        let confirmation = sent.await?;
        self.used = used;
        match confirmation {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(returned)) => {
                Err(PublishError::Unroutable(returned.reply_text.to_string()))
            }
            _ => Err(PublishError::Refused),
        }
    }

    /// The channel, for everything else. The next holder gets another one.
    pub fn channel(&mut self) -> &Channel {
        self.used = true;
        &self.channel
    }

    fn is_open(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }
}
// ANCHOR_END: session

// ANCHOR: manager
/// One broker, and the connection to it, which all channels share.
pub struct RabbitMq {
    uri: AMQPUri,
    name: String,
    connection: Mutex<Option<Arc<Connection>>>,
}

impl RabbitMq {
    /// Connects to this broker. `rabbitmqctl list_connections client_properties`
    /// has the name.
    pub fn new(uri: AMQPUri, name: &str) -> Self {
        Self { uri, name: name.to_owned(), connection: Mutex::default() }
    }

    /// The connection that there is, or a new one. Those who connect at once share
    /// it.
    async fn connection(&self) -> Result<Arc<Connection>, Error> {
        let mut current = self.connection.lock().await;
        if let Some(connection) = &*current
            && connection.status().connected()
        {
            return Ok(connection.clone());
        }
        // Without lapin's own recovery. The pool opens what is missing.
        let properties = ConnectionProperties::default();
        let properties = properties.with_connection_name(self.name.as_str().into());
        let connection =
            Connection::connect_uri(self.uri.clone(), properties).await?;
        Ok(current.insert(Arc::new(connection)).clone())
    }
}

/// Over a blocked connection lapin sends nothing, so no answer would come.
fn refuse_if_blocked(connection: &Connection) -> Result<(), Error> {
    if !connection.status().blocked() {
        return Ok(());
    }
    let why = "the broker has blocked this connection";
    Err(io::Error::new(io::ErrorKind::ResourceBusy, why).into())
}

async fn open_channel(connection: &Connection) -> Result<Channel, Error> {
    refuse_if_blocked(connection)?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

impl Manager for RabbitMq {
    type Connection = Session;
    type Error = Error;

    async fn connect(&self) -> Result<Session, Error> {
        let connection = self.connection().await?;
        let channel = open_channel(&connection).await?;
        Ok(Session { channel, connection, used: false })
    }

    // A request that changes nothing on a channel that confirms already.
    async fn check(&self, session: &mut Session) -> Result<(), Error> {
        session.channel.confirm_select(ConfirmSelectOptions::default()).await
    }

    fn is_connected(&self, session: &mut Session) -> bool {
        session.is_open()
    }

    fn is_reusable(&self, session: &mut Session) -> bool {
        session.is_open()
    }

    fn needs_reset(&self, session: &mut Session) -> bool {
        session.used
    }

    // AMQP has no command that undoes `basic.qos`, consumers and transactions.
    // Messages without an answer go back to their queues when the channel closes.
    async fn reset(&self, session: &mut Session) -> Result<(), Error> {
        refuse_if_blocked(&session.connection)?;
        session.channel.close(200, "OK".into()).await?;
        session.channel = open_channel(&session.connection).await?;
        session.used = false;
        Ok(())
    }

    // A blocked connection is kept, with what waits in it to be sent. A new one
    // would only be blocked as well.
    fn needs_close(&self, session: &mut Session, _: RetireReason) -> bool {
        let status = session.connection.status();
        status.connected() && !status.blocked()
    }

    async fn close(&self, session: Session) {
        let Session { channel, connection, .. } = session;
        let _ = channel.close(200, "OK".into()).await;
        drop(channel);
        // The last one out takes the connection along.
        let mut current = self.connection.lock().await;
        drop(connection);
        let last = current.take_if(|connection| Arc::strong_count(connection) == 1);
        drop(current);
        if let Some(connection) = last {
            let _ = connection.close(200, "OK".into()).await;
        }
    }

    fn classify(&self, error: &Error) -> FailureKind {
        match error.kind() {
            ErrorKind::ChannelsLimitReached => FailureKind::Busy,
            ErrorKind::IOError(error)
                if error.kind() == io::ErrorKind::ResourceBusy =>
            {
                FailureKind::Busy
            }
            ErrorKind::ProtocolError(error) => match error.get_id() {
                // The virtual host, or the user, has all the connections that it
                // may have.
                530 if error.get_message().as_str().contains("limit") => {
                    FailureKind::Busy
                }
                // Access refused; no such virtual host.
                403 | 530 => FailureKind::Permanent,
                _ => FailureKind::Transient,
            },
            _ => FailureKind::Transient,
        }
    }

    fn target(&self) -> Cow<'_, str> {
        let AMQPUri { authority: server, vhost, .. } = &self.uri;
        format!("{}:{}, virtual host {vhost}", server.host, server.port).into()
    }
}
// ANCHOR_END: manager
