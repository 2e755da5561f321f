//! What the server keeps in memory, for one client and for all.

use std::time::Duration;

use poolhouse_echo::{EchoServer, Faults, Reply};
use tokio::runtime::Runtime;

use crate::client::{Client, in_time, replying};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Server and clients on one thread, whose memory is measured.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// The start of a frame of `length` bytes, of which `sent` are there.
fn start_of_a_frame(length: usize, sent: usize) -> Vec<u8> {
    let mut bytes = u32::try_from(length).unwrap().to_be_bytes().to_vec();
    bytes.resize(4 + sent, 7);
    bytes
}

#[test]
fn a_large_frame_leaves_nothing_with_its_connection() {
    let runtime = runtime();
    let mut clients = Vec::new();
    let server = runtime.block_on(async { EchoServer::in_memory() });
    let kept = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..8 {
                let mut client = Client::connect(&server).await.unwrap();
                client.send_raw(&start_of_a_frame(8 * MIB, 8 * MIB)).await.unwrap();
                client.receive_raw(4 + 8 * MIB).await;
                clients.push(client);
            }
            // Crosstalk may need the latest payload, so that one stays until the next.
            clients[0].ask(b"small").await.unwrap();
        });
    });
    // A client of these tests keeps up to 64 KiB, and so does each direction of the pipe.
    assert!(kept.bytes_current < 8 * 512 * KIB as i64, "{} bytes for 8 connections", kept.bytes_current);
}

#[test]
fn an_announced_length_reserves_nothing() {
    let runtime = runtime();
    let measured = allocation_counter::measure(|| {
        runtime.block_on(async {
            let server = EchoServer::in_memory();
            let mut clients = Vec::new();
            for _ in 0..200 {
                let mut client = Client::connect(&server).await.unwrap();
                client.send_raw(&start_of_a_frame(16 * MIB, 1)).await.unwrap();
                clients.push(client);
            }
            // The server has seen what was sent before this answer.
            Client::connect(&server).await.unwrap().ask(b"?").await.unwrap();
        });
    });
    assert!(measured.bytes_max < 64 * MIB as u64, "{} bytes for 200 lengths", measured.bytes_max);
}

#[tokio::test]
async fn the_large_frames_of_all_clients_are_bounded_in_sum() {
    in_time(async {
        let server = EchoServer::builder().max_buffered(MIB).in_memory();
        let mut first = Client::connect(&server).await.unwrap();
        first.send_raw(&start_of_a_frame(600 * KIB, 500 * KIB)).await.unwrap();
        let mut second = Client::connect(&server).await.unwrap();
        // The server closes while this is being sent.
        let _ = second.send_raw(&start_of_a_frame(600 * KIB, 600 * KIB)).await;
        second.closed().await;

        let mut small = Client::connect(&server).await.unwrap();
        assert_eq!(small.ask(&[1; 64 * KIB]).await.unwrap().len(), 64 * KIB, "small frames are not counted");
        first.send_raw(&[7; 100 * KIB]).await.unwrap();
        assert_eq!(first.receive_raw(4 + 600 * KIB).await[4..], [7; 600 * KIB]);

        // What a client held is free again: when its frame is answered and no longer the latest, or when it goes.
        small.ask(b"?").await.unwrap();
        for _ in 0..3 {
            let mut next = Client::connect(&server).await.unwrap();
            assert_eq!(next.ask(&[2; 600 * KIB]).await.unwrap().len(), 600 * KIB);
            small.ask(b"?").await.unwrap();
            next.send_raw(&start_of_a_frame(600 * KIB, 500 * KIB)).await.unwrap();
            drop(next);
            server.wait_for(|counts| counts.open == 2).await;
        }
    })
    .await;
}

/// Large frames go past the codec on their way out, and so need their own tests of the faults.
#[tokio::test]
async fn a_large_frame_is_halved_like_any_other() {
    in_time(async {
        let server = EchoServer::builder().faults(replying(Reply::HalfThenClose)).in_memory();
        let mut client = Client::connect(&server).await.unwrap();
        client.send(&[7; MIB]).await;
        let mut half = u32::try_from(MIB).unwrap().to_be_bytes().to_vec();
        half.resize((4 + MIB) / 2, 7);
        assert_eq!(client.receive_rest().await.unwrap(), half);
        server.set_faults(Faults { latency: Some(Duration::from_millis(1)), ..Faults::default() });
        let mut client = Client::connect(&server).await.unwrap();
        assert_eq!(client.ask(&[8; MIB]).await.unwrap(), [8; MIB]);
    })
    .await;
}
