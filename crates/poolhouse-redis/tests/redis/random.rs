//! Holders that send at random what changes a session, and give up at random.

use std::time::Duration;

use poolhouse::Pool;
use redis::{Cmd, Value, cmd, pipe};
use tokio::task::JoinSet;

use crate::common::{PATIENCE, PROTOCOLS, Result, config, for_a_while, manager};
use crate::shared_or_skip;

const LINES: &[&str] = &[
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH random",
    "UNWATCH",
    "SELECT 5",
    "SELECT 999",
    "CLIENT SETNAME mine",
    "CLIENT TRACKING ON",
    "HELLO 2",
    "HELLO 3",
    "AUTH other secret",
    "RESET",
    "SUBSCRIBE a b",
    "UNSUBSCRIBE",
    "SET random 1",
    "INCR random",
    "LPUSH random a",
    "GET random",
    "NONSENSE",
];

fn command(random: &mut fastrand::Rng) -> Cmd {
    let mut words = random.choice(LINES).expect("there are some").split(' ');
    let mut command = cmd(words.next().unwrap_or_default());
    for word in words {
        command.arg(word);
    }
    command
}

/// Each next holder has a session as good as new, and his own answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_sent_the_next_holder_notices_nothing() -> Result {
    let server = shared_or_skip!();
    server.command(&["ACL", "SETUSER", "other", "on", ">secret", "~*", "&*", "+@all"])?;
    let seed =
        std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    for rest in PROTOCOLS {
        let pool = Pool::new(manager(server, &format!("3{rest}")).drain_within(PATIENCE / 30), config(2))?;
        let mut callers = JoinSet::new();
        for caller in 0..3_u64 {
            let (pool, mut random) = (pool.clone(), fastrand::Rng::with_seed(seed ^ caller));
            callers.spawn(async move {
                for turn in 0..300 {
                    let mut connection = pool.acquire().await.expect("there is a turn for everybody");
                    for step in 0..random.u32(1..4) {
                        // A reply may be missing, of a SUBSCRIBE for one.
                        let limit = if random.bool() { 20_000 } else { random.u64(0..300) };
                        let mut commands = pipe();
                        // Only at first: redis-rs does not take the error of a MULTI in a MULTI.
                        if step == 0 && random.u8(0..3) == 0 {
                            commands.atomic();
                        }
                        for _ in 0..random.u32(1..6) {
                            commands.add_command(command(&mut random));
                        }
                        let limit = Duration::from_micros(limit);
                        for_a_while(limit, commands.query_async::<Value>(&mut *connection)).await;
                    }
                    drop(connection);

                    let mut connection = pool.acquire().await.expect("there is a turn for everybody");
                    let number = caller << 32 | turn;
                    let info: String = cmd("CLIENT").arg("INFO").query_async(&mut *connection).await?;
                    let resp = if rest.is_empty() { "resp=2" } else { "resp=3" };
                    for clean in
                        [" db=3 ", " multi=-1 ", " name= ", " sub=0 ", " user=default ", " redir=-1 ", resp]
                    {
                        assert!(info.contains(clean), "SEED={seed} {rest:?}: no {clean:?} in {info}");
                    }
                    let echo: u64 = cmd("ECHO").arg(number).query_async(&mut *connection).await?;
                    // What a key watched by somebody else would undo.
                    let mut commands = pipe();
                    commands.atomic().cmd("ECHO").arg(number).set("random", number).ignore();
                    let done: Option<(u64,)> = commands.query_async(&mut *connection).await?;
                    assert_eq!((echo, done), (number, Some((number,))), "SEED={seed} {rest:?}");
                }
                Result::Ok(())
            });
        }
        while let Some(ended) = callers.join_next().await {
            ended??;
        }
    }
    Ok(())
}
