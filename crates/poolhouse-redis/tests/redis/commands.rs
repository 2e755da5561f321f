//! The table of commands that change a session, against what the server says of its commands.

use crate::common::Result;
use crate::shared_or_skip;

/// Judged in `session.rs`.
const JUDGED: &[&str] = &[
    "asking",
    "auth",
    "blmove",
    "blmpop",
    "blpop",
    "brpop",
    "brpoplpush",
    "bzmpop",
    "bzpopmax",
    "bzpopmin",
    "client",
    "discard",
    "exec",
    "hello",
    "monitor",
    "multi",
    "psubscribe",
    "psync",
    "punsubscribe",
    "quit",
    "readonly",
    "readwrite",
    "replconf",
    "reset",
    "script",
    "select",
    "ssubscribe",
    "subscribe",
    "sunsubscribe",
    "sync",
    "unsubscribe",
    "unwatch",
    "wait",
    "watch",
    "xread",
    "xreadgroup",
];

/// They leave the session as it is: they work on the server or its data, or only tell something.
const HARMLESS: &[&str] = &[
    "acl",
    "bgrewriteaof",
    "bgsave",
    "cluster",
    "command",
    "config",
    "debug",
    "echo",
    "eval",
    "eval_ro",
    "evalsha",
    "evalsha_ro",
    "failover",
    "fcall",
    "fcall_ro",
    "function",
    "latency",
    "memory",
    "module",
    "object",
    "pfdebug",
    "pfselftest",
    "ping",
    "publish",
    "pubsub",
    "replicaof",
    "restore-asking",
    "role",
    "save",
    "shutdown",
    "slaveof",
    "slowlog",
    "spublish",
    "swapdb",
    "xgroup",
    "xinfo",
];

/// A script must not call what changes the session that it runs in, so the server marks such commands.
#[tokio::test]
async fn each_command_that_may_change_a_session_is_judged() -> Result {
    let server = shared_or_skip!();
    let mut names = std::collections::BTreeSet::new();
    for category in ["connection", "transaction", "pubsub", "blocking"] {
        let listed = server.command(&["COMMAND", "LIST", "FILTERBY", "ACLCAT", category])?;
        names.extend(listed.lines().map(str::to_owned));
    }
    let mut connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
    let infos: Vec<redis::Value> = redis::cmd("COMMAND").query_async(&mut connection).await?;
    for info in infos {
        let redis::Value::Array(parts) = info else { continue };
        let [redis::Value::BulkString(name), _, flags, ..] = &parts[..] else { continue };
        if format!("{flags:?}").contains("noscript") {
            names.insert(String::from_utf8(name.clone())?);
        }
    }
    assert!(names.len() > 40, "the server names them: {names:?}");
    let new: Vec<_> = names
        .iter()
        .map(|name| name.split('|').next().unwrap_or_default())
        .filter(|name| !JUDGED.contains(name) && !HARMLESS.contains(name))
        .collect();
    assert!(new.is_empty(), "judge these in session.rs: {new:?}");
    Ok(())
}
