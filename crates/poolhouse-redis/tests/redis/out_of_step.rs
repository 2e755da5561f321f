//! Replies that do not belong to the commands that wait for them. A server of the test's own sends them when it likes, so this
//! needs no Redis.

use poolhouse::Pool;
use poolhouse_redis::RedisManager;
use redis::cmd;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::common::{PATIENCE, Result, config};

/// One command, as its words.
async fn read(stream: &mut BufReader<TcpStream>) -> Result<Vec<String>> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let count: usize = line.trim_end().trim_start_matches('*').parse()?;
    let mut words = Vec::new();
    for _ in 0..count {
        line.clear();
        stream.read_line(&mut line).await?;
        let length: usize = line.trim_end().trim_start_matches('$').parse()?;
        let mut word = vec![0; length + 2];
        stream.read_exact(&mut word).await?;
        word.truncate(length);
        words.push(String::from_utf8(word)?);
    }
    Ok(words)
}

fn reply(words: &[String]) -> String {
    match words {
        [name, word] if name == "ECHO" || name == "PING" => format!("${}\r\n{word}\r\n", word.len()),
        [name] if name == "RESET" => "+RESET\r\n".to_owned(),
        _ => "+OK\r\n".to_owned(),
    }
}

const CONFIRMED: &str = "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";

/// `SUBSCRIBE a b c` has three replies. The second and the third come once the pool has sent its reset, and the replies to that
/// once the next command is here.
async fn serve(stream: TcpStream) -> Result {
    let mut stream = BufReader::new(stream);
    loop {
        let words = read(&mut stream).await?;
        if words[0] != "SUBSCRIBE" {
            stream.write_all(reply(&words).as_bytes()).await?;
            continue;
        }
        stream.write_all(CONFIRMED.as_bytes()).await?;
        let mut late = reply(&read(&mut stream).await?);
        late += &reply(&read(&mut stream).await?);
        stream.write_all(CONFIRMED.repeat(2).as_bytes()).await?;
        late += &reply(&read(&mut stream).await?);
        stream.write_all(late.as_bytes()).await?;
    }
}

#[tokio::test]
async fn replies_out_of_step_reach_nobody() -> Result {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("redis://{}/", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    let pool = Pool::new(RedisManager::from_url(url)?.drain_within(PATIENCE), config(1))?;
    let mut connection = pool.acquire().await?;
    cmd("SUBSCRIBE").arg(&["a", "b", "c"]).exec_async(&mut *connection).await?;
    drop(connection);
    let mine: String = cmd("ECHO").arg("mine").query_async(&mut *pool.acquire().await?).await?;
    assert_eq!(mine, "mine");
    assert_eq!(pool.stats().failed_resets, 1, "it was noticed, and the connection closed");
    Ok(())
}
