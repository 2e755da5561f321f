//! Everything about time, with the clock paused, and what pipes alone show.

use std::io;
use std::time::Duration;

use poolhouse_echo::{EchoServer, Faults, Reply};
use tokio::time::{Instant, advance, timeout};

use crate::client::{Client, in_virtual_time, replying};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

async fn start(faults: Faults) -> (EchoServer, Client) {
    let server = EchoServer::builder().faults(faults).in_memory();
    let client = Client::connect(&server).await.unwrap();
    (server, client)
}

/// How long each of `frames` replies takes.
async fn delays(client: &mut Client, frames: usize) -> Vec<Duration> {
    let mut delays = Vec::new();
    for _ in 0..frames {
        let asked = Instant::now();
        client.ask(b"?").await.unwrap();
        delays.push(asked.elapsed());
    }
    delays
}

fn random(seed: u64) -> Faults {
    Faults { random_latency: Some(5 * MS..=50 * MS), seed, ..Faults::default() }
}

#[tokio::test(start_paused = true)]
async fn without_faults_no_time_passes() {
    in_virtual_time(async {
        let (_server, mut client) = start(Faults::default()).await;
        assert_eq!(delays(&mut client, 3).await, [Duration::ZERO; 3]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn latency_is_exact() {
    in_virtual_time(async {
        let (server, mut client) = start(Faults { latency: Some(20 * MS), ..Faults::default() }).await;
        assert_eq!(delays(&mut client, 3).await, [20 * MS; 3]);
        server.set_faults(Faults { latency: Some(HOUR), ..Faults::default() });
        assert_eq!(delays(&mut client, 1).await, [HOUR]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn frames_sent_together_wait_one_after_the_other() {
    in_virtual_time(async {
        let (_server, mut client) = start(Faults { latency: Some(20 * MS), ..Faults::default() }).await;
        let sent = Instant::now();
        for frame in [b"1", b"2", b"3"] {
            client.send(frame).await;
        }
        for number in 1..=3 {
            assert_eq!(client.receive().await, Some(number.to_string().into_bytes()));
            assert_eq!(sent.elapsed(), number * 20 * MS);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn random_latency_stays_in_its_range_and_varies() {
    in_virtual_time(async {
        let (_server, mut client) = start(random(0)).await;
        let delays = delays(&mut client, 100).await;
        // The clock ticks in milliseconds and rounds a sleep up.
        assert!(delays.iter().all(|delay| (5 * MS..=51 * MS).contains(delay)), "{delays:?}");
        assert!(
            delays.iter().any(|delay| *delay < 15 * MS) && delays.iter().any(|delay| *delay > 40 * MS),
            "{delays:?}"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_every_connection() {
    in_virtual_time(async {
        let mut runs = Vec::new();
        for seed in [1, 1, 2] {
            let (server, mut first) = start(random(seed)).await;
            let mut second = Client::connect(&server).await.unwrap();
            // The order in which the connections ask differs from run to run, and does not matter.
            let run = if runs.is_empty() {
                let first = delays(&mut first, 8).await;
                (first, delays(&mut second, 8).await)
            } else {
                let second = delays(&mut second, 8).await;
                (delays(&mut first, 8).await, second)
            };
            runs.push(run);
        }
        assert_eq!(runs[0], runs[1], "the same seed");
        assert_ne!(runs[0], runs[2], "another seed");
        assert_ne!(runs[0].0, runs[0].1, "two connections");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn latencies_add_up_and_an_empty_range_gives_its_start() {
    in_virtual_time(async {
        let faults = Faults {
            latency: Some(100 * MS),
            random_latency: Some(Duration::from_millis(30)..=Duration::from_millis(10)),
            ..Faults::default()
        };
        let (_server, mut client) = start(faults).await;
        assert_eq!(delays(&mut client, 2).await, [130 * MS; 2]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_during_the_delay_is_noticed_at_once() {
    in_virtual_time(async {
        let (server, mut client) = start(Faults { latency: Some(HOUR), ..Faults::default() }).await;
        client.send(b"bye").await;
        server.wait_for(|counts| counts.frames_received == 1).await;
        let left = Instant::now();
        drop(client);
        let counts = server.wait_for(|counts| counts.open == 0).await;
        assert_eq!(left.elapsed(), Duration::ZERO);
        assert_eq!(counts.frames_sent, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_delay_does_not_hold_up_the_end() {
    in_virtual_time(async {
        let (server, mut client) = start(Faults { latency: Some(HOUR), ..Faults::default() }).await;
        client.send(b"bye").await;
        server.wait_for(|counts| counts.frames_received == 1).await;
        let stopped = Instant::now();
        server.stop().await;
        assert_eq!(stopped.elapsed(), Duration::ZERO);
        client.closed().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn during_a_delay_one_frame_is_read_ahead_and_no_more() {
    in_virtual_time(async {
        let (server, mut client) = start(Faults { latency: Some(HOUR), ..Faults::default() }).await;
        for _ in 0..5 {
            client.send(b"?").await;
        }
        server.wait_for(|counts| counts.frames_received == 2).await;
        timeout(HOUR - MS, server.wait_for(|counts| counts.frames_received > 2))
            .await
            .expect_err("read too far ahead");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn no_answer_for_an_hour() {
    in_virtual_time(async {
        let (_server, mut client) = start(replying(Reply::Never)).await;
        timeout(HOUR, client.ask(b"anybody?")).await.expect_err("an answer");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_closes_in_its_time() {
    in_virtual_time(async {
        let (server, mut client) = start(Faults { close_idle_after: Some(HOUR), ..Faults::default() }).await;
        let idle_since = Instant::now();
        client.closed().await;
        assert_eq!(idle_since.elapsed(), HOUR);
        server.wait_for(|counts| counts.open == 0).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_keeps_the_connection_open() {
    in_virtual_time(async {
        let (_server, mut client) = start(Faults { close_idle_after: Some(HOUR), ..Faults::default() }).await;
        for _ in 0..3 {
            advance(HOUR - MS).await;
            assert_eq!(client.ask(b"here").await.as_deref(), Some(&b"here"[..]));
        }
        let idle_since = Instant::now();
        client.closed().await;
        assert_eq!(idle_since.elapsed(), HOUR);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_dribbles_is_idle() {
    in_virtual_time(async {
        let (_server, mut client) = start(Faults { close_idle_after: Some(HOUR), ..Faults::default() }).await;
        let begun = Instant::now();
        for byte in [b"\0", b"\0", b"\0", b"\x64", b"x", b"x"] {
            client.send_raw(byte).await.unwrap();
            advance(HOUR / 10).await;
        }
        client.closed().await;
        assert_eq!(begun.elapsed(), HOUR);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_idle() {
    in_virtual_time(async {
        let (server, mut client) = start(Faults { close_idle_after: Some(HOUR), ..Faults::default() }).await;
        // Longer than what the pipe holds: the reply cannot be written to its end until somebody reads.
        client.send(&vec![0; 1024 * 1024]).await;
        let begun = Instant::now();
        server.wait_for(|counts| counts.open == 0).await;
        assert_eq!(begun.elapsed(), HOUR);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_takes_its_time_is_not_idleness() {
    in_virtual_time(async {
        let faults = Faults { latency: Some(2 * HOUR), close_idle_after: Some(HOUR), ..Faults::default() };
        let (_server, mut client) = start(faults).await;
        assert_eq!(delays(&mut client, 2).await, [2 * HOUR; 2]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shorter_idle_time_holds_for_open_connections() {
    in_virtual_time(async {
        let (server, mut client) = start(Faults::default()).await;
        advance(HOUR).await;
        server.set_faults(Faults { close_idle_after: Some(HOUR + MS), ..Faults::default() });
        let set = Instant::now();
        client.closed().await;
        assert_eq!(set.elapsed(), MS);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn endless_times_do_no_harm() {
    in_virtual_time(async {
        let faults = Faults { close_idle_after: Some(Duration::MAX), ..Faults::default() };
        let (server, mut client) = start(faults).await;
        assert_eq!(client.ask(b"here").await.as_deref(), Some(&b"here"[..]));
        server.set_faults(Faults {
            latency: Some(Duration::MAX),
            random_latency: Some(Duration::ZERO..=Duration::MAX),
            ..Faults::default()
        });
        timeout(HOUR, client.ask(b"there")).await.expect_err("an answer before the end of time");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_the_end_of_a_pipe() {
    in_virtual_time(async {
        let (server, mut client) = start(replying(Reply::Reset)).await;
        client.send(b"hello").await;
        assert_eq!(client.receive_rest().await.unwrap(), b"");
        assert_eq!(client.send_raw(b"hello?").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        let counts = server.wait_for(|counts| counts.open == 0).await;
        assert_eq!((counts.frames_received, counts.frames_sent), (1, 0));
    })
    .await;
}
