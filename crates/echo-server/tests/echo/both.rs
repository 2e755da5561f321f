//! What holds over pipes and over sockets alike: the echo, the counts, and every fault that needs no clock.

use std::io;

use poolhouse_echo::{CROSSTALK_MARKER, Counts, EchoServer, EchoServerBuilder, Faults, Reply};

use crate::client::{Client, in_time, on_both_transports, replying};

fn builder() -> EchoServerBuilder {
    EchoServer::builder()
}

fn with(faults: Faults) -> EchoServerBuilder {
    builder().faults(faults)
}

/// Connects and finds itself refused, in whichever way the transport tells.
async fn refused(server: &EchoServer) {
    match Client::connect(server).await {
        Ok(mut client) => {
            assert!(server.try_addr().is_some(), "in memory the connect itself must fail");
            client.closed().await;
        }
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused),
    }
}

on_both_transports! {
    fn frames_come_back_in_order_and_unchanged(server = builder()) {
        let mut client = Client::connect(&server).await.unwrap();
        let long = vec![7; 1024 * 1024];
        for frame in [&b"one"[..], b"", b"\xff\xff\xff\xff", &long] {
            assert_eq!(client.ask(frame).await.as_deref(), Some(frame));
        }
        client.send_raw(b"\0\0\0\x01a\0\0\0\x01b\0\0\0\x01c").await.unwrap();
        assert_eq!(client.receive_raw(15).await, b"\0\0\0\x01a\0\0\0\x01b\0\0\0\x01c");
    }

    fn counts_tell_what_happened(server = builder()) {
        assert_eq!(server.counts(), Counts::default());
        let mut one = Client::connect(&server).await.unwrap();
        let mut two = Client::connect(&server).await.unwrap();
        one.ask(b"four").await.unwrap();
        two.ask(b"").await.unwrap();
        two.ask(b"sixsix").await.unwrap();
        drop(one);
        let counts = server.wait_for(|counts| counts.open == 1).await;
        assert_eq!((counts.accepted, counts.open, counts.peak_open, counts.refused), (2, 1, 2, 0));
        assert_eq!((counts.frames_received, counts.frames_sent), (3, 3));
        assert_eq!((counts.bytes_received, counts.bytes_sent), (10, 10));
        assert_eq!(counts, server.counts());
        assert_eq!(
            counts.to_string(),
            "accepted 2, refused 0, open 1, peak open 2, received 3 frames (10 bytes), sent 3 frames (10 bytes)"
        );
    }

    fn many_connections_are_served_at_once(server = builder()) {
        let mut clients = Vec::new();
        for _ in 0..200 {
            clients.push(Client::connect(&server).await.unwrap());
        }
        // All ask before any reads, so that no connection can be waiting for another to end.
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(format!("{number}").as_bytes()).await;
        }
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.receive().await, Some(format!("{number}").into_bytes()));
        }
        assert_eq!(server.counts().peak_open, 200);
        drop(clients);
        let counts = server.wait_for(|counts| counts.open == 0).await;
        assert_eq!((counts.accepted, counts.frames_sent), (200, 200));
    }

    fn a_frame_over_the_limit_ends_the_connection(server = builder().max_frame_length(8)) {
        let mut client = Client::connect(&server).await.unwrap();
        assert_eq!(client.ask(b"8 bytes!").await.as_deref(), Some(&b"8 bytes!"[..]));
        // The length alone is enough: the server does not wait for the payload.
        client.send_raw(b"\0\0\0\x09").await.unwrap();
        client.closed().await;
        let counts = server.wait_for(|counts| counts.open == 0).await;
        assert_eq!(counts.frames_received, 1);
    }

    fn a_frame_cut_short_is_not_counted(server = builder()) {
        let mut client = Client::connect(&server).await.unwrap();
        client.send_raw(b"\0\0\0\x09half").await.unwrap();
        drop(client);
        let counts = server.wait_for(|counts| counts.accepted == 1 && counts.open == 0).await;
        assert_eq!((counts.frames_received, counts.bytes_received), (0, 0));
    }

    fn the_cap_refuses_what_is_above_it(server = with(Faults { max_connections: Some(1), ..Faults::default() })) {
        let mut first = Client::connect(&server).await.unwrap();
        first.ask(b"in").await.unwrap();
        refused(&server).await;
        let counts = server.wait_for(|counts| counts.refused == 1).await;
        assert_eq!((counts.accepted, counts.open, counts.peak_open), (1, 1, 1));

        drop(first);
        server.wait_for(|counts| counts.open == 0).await;
        let mut second = Client::connect(&server).await.unwrap();
        assert_eq!(second.ask(b"in again").await.as_deref(), Some(&b"in again"[..]));
    }

    fn a_cap_of_zero_refuses_all_and_closes_nothing(server = builder()) {
        let mut early = Client::connect(&server).await.unwrap();
        early.ask(b"in").await.unwrap();
        server.set_faults(Faults { max_connections: Some(0), ..Faults::default() });
        refused(&server).await;
        assert_eq!(early.ask(b"still in").await.as_deref(), Some(&b"still in"[..]));
    }

    fn a_connection_closes_after_its_frames(server = with(Faults { close_after_frames: Some(2), ..Faults::default() })) {
        for _ in 0..2 {
            let mut client = Client::connect(&server).await.unwrap();
            assert_eq!(client.ask(b"1").await.as_deref(), Some(&b"1"[..]));
            assert_eq!(client.ask(b"2").await.as_deref(), Some(&b"2"[..]));
            client.closed().await;
        }
        assert_eq!(server.counts().frames_sent, 4);
    }

    fn a_lower_number_of_frames_closes_at_once(server = builder()) {
        let mut client = Client::connect(&server).await.unwrap();
        client.ask(b"1").await.unwrap();
        client.ask(b"2").await.unwrap();
        server.set_faults(Faults { close_after_frames: Some(2), ..Faults::default() });
        client.closed().await;
    }

    fn no_answer_means_none(server = with(replying(Reply::Never))) {
        let mut client = Client::connect(&server).await.unwrap();
        client.send(b"lost").await;
        let counts = server.wait_for(|counts| counts.frames_received == 1).await;
        assert_eq!((counts.open, counts.frames_sent), (1, 0));
        // Frames are handled in order: by the time the second is read, the first has had all the answer it will get.
        client.send(b"lost too").await;
        server.wait_for(|counts| counts.frames_received == 2).await;
        server.disconnect_all();
        client.closed().await;
    }

    fn half_a_frame_then_nothing(server = with(replying(Reply::HalfThenStall))) {
        let mut client = Client::connect(&server).await.unwrap();
        client.send(b"abcdef").await;
        assert_eq!(client.receive_raw(5).await, b"\0\0\0\x06a");
        // Even a server that has recovered cannot fix this connection.
        server.set_faults(Faults::default());
        client.send(b"and?").await;
        let counts = server.wait_for(|counts| counts.frames_received == 2).await;
        assert_eq!((counts.open, counts.frames_sent), (1, 0));
        server.disconnect_all();
        client.closed().await;
    }

    fn half_a_frame_then_the_end(server = with(replying(Reply::HalfThenClose))) {
        for (frame, half) in [(&b"abcdef"[..], &b"\0\0\0\x06a"[..]), (b"", b"\0\0"), (b"a", b"\0\0")] {
            let mut client = Client::connect(&server).await.unwrap();
            client.send(frame).await;
            assert_eq!(client.receive_rest().await.unwrap(), half);
        }
        assert_eq!(server.counts().frames_sent, 0);
    }

    fn garbage_announces_more_than_any_limit(server = with(replying(Reply::Garbage))) {
        let mut client = Client::connect(&server).await.unwrap();
        client.send(b"hello").await;
        let first = client.receive_raw(36).await;
        assert_eq!(first[..4], [0xff; 4]);
        // The connection is still there, and the noise goes on.
        client.send(b"hello").await;
        let second = client.receive_raw(36).await;
        assert_ne!(first, second);
        assert_eq!((server.counts().open, server.counts().frames_sent), (1, 0));

        // Setting another seed and the old one again starts the same noise.
        server.set_faults(Faults { seed: 1, ..replying(Reply::Garbage) });
        client.send(b"hello").await;
        assert_ne!(client.receive_raw(36).await, first);
        server.set_faults(replying(Reply::Garbage));
        client.send(b"hello").await;
        assert_eq!(client.receive_raw(36).await, first);
    }

    fn crosstalk_answers_with_the_frame_before(server = with(replying(Reply::Crosstalk))) {
        let mut alice = Client::connect(&server).await.unwrap();
        let mut bob = Client::connect(&server).await.unwrap();
        assert_eq!(alice.ask(b"alice's secret").await.as_deref(), Some(CROSSTALK_MARKER));
        assert_eq!(bob.ask(b"bob's secret").await.as_deref(), Some(&b"alice's secret"[..]));
        assert_eq!(bob.ask(b"more").await.as_deref(), Some(&b"bob's secret"[..]));
        assert_eq!(alice.ask(b"again").await.as_deref(), Some(&b"more"[..]));
        assert_eq!(server.counts().frames_sent, 4);
    }

    fn crosstalk_knows_the_frames_from_before_the_fault(server = builder().max_frame_length(8)) {
        let mut client = Client::connect(&server).await.unwrap();
        client.ask(b"early").await.unwrap();
        server.set_faults(replying(Reply::Crosstalk));
        assert_eq!(client.ask(b"late").await.as_deref(), Some(&b"early"[..]));
    }

    fn the_marker_fits_the_longest_frame(server = with(replying(Reply::Crosstalk)).max_frame_length(4)) {
        let mut client = Client::connect(&server).await.unwrap();
        assert_eq!(client.ask(b"x").await.as_deref(), Some(&CROSSTALK_MARKER[..4]));
    }

    fn new_faults_hold_from_the_next_frame_on(server = builder()) {
        assert_eq!(server.faults(), Faults::default());
        let mut client = Client::connect(&server).await.unwrap();
        assert_eq!(client.ask(b"a").await.as_deref(), Some(&b"a"[..]));
        server.set_faults(replying(Reply::Crosstalk));
        assert_eq!(server.faults(), replying(Reply::Crosstalk));
        assert_eq!(client.ask(b"b").await.as_deref(), Some(&b"a"[..]));
        server.set_faults(Faults::default());
        assert_eq!(client.ask(b"c").await.as_deref(), Some(&b"c"[..]));
    }

    fn disconnect_all_looks_like_a_restart(server = builder()) {
        let mut one = Client::connect(&server).await.unwrap();
        let mut two = Client::connect(&server).await.unwrap();
        server.wait_for(|counts| counts.open == 2).await;
        server.disconnect_all();
        one.closed().await;
        two.closed().await;
        server.wait_for(|counts| counts.open == 0).await;
        let mut three = Client::connect(&server).await.unwrap();
        assert_eq!(three.ask(b"back").await.as_deref(), Some(&b"back"[..]));
    }
}
