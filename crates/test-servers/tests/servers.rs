//! The servers start, answer, stop, and leave nothing behind, however the test ends.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use test_servers::{
    HaProxy, MariaDb, Nginx, PgBouncer, Postgres, Prometheus, RabbitMq, Redis, ServerError, start_or_skip,
};

/// Set in the process that a test starts of itself, to be killed.
const VICTIM: &str = "TEST_SERVERS_VICTIM";

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// Whether a process is there and no zombie.
fn runs(pid: i32) -> bool {
    let state = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap().stdout;
    !state.is_empty() && !state.starts_with(b"Z")
}

#[test]
fn postgres_answers_restarts_and_leaves_nothing() {
    let mut server = start_or_skip!(Postgres::start_with(&[("max_connections", "7")]));
    assert_eq!(server.sql("SHOW max_connections").unwrap(), "7");
    server.sql("CREATE TABLE kept (id int); INSERT INTO kept VALUES (5)").unwrap();
    let (port, first) = (server.port(), server.pid().unwrap());
    server.restart().unwrap();
    assert_eq!((server.port(), server.sql("SELECT id FROM kept").unwrap()), (port, "5".to_owned()));
    assert_ne!(server.pid().unwrap(), first);
    let refused = server.sql("SELECT 1 / 0").unwrap_err().to_string();
    assert!(refused.contains("division by zero"), "{refused}");
    assert!(server.log().contains("division by zero"));
    let (pid, folder) = (server.pid().unwrap(), server.folder().to_owned());
    drop(server);
    assert!(!runs(pid) && !folder.exists());
}

#[test]
#[ignore = "long: waits for a server that stops, fires or follows"]
fn a_standby_follows_and_can_be_promoted() {
    let primary = start_or_skip!(Postgres::start());
    primary.sql("CREATE TABLE kept (id int)").unwrap();
    let standby = primary.standby().unwrap();
    assert!(standby.sql("INSERT INTO kept VALUES (1)").is_err());
    primary.sql("INSERT INTO kept VALUES (5)").unwrap();
    wait_until("the row arrives", || standby.sql("SELECT id FROM kept").is_ok_and(|rows| rows == "5"));
    drop(primary);
    standby.sql("SELECT pg_promote()").unwrap();
    standby.sql("INSERT INTO kept VALUES (6)").unwrap();
}

#[test]
fn a_frozen_postgres_answers_when_it_thaws() {
    let mut server = start_or_skip!(Postgres::start());
    server.freeze().unwrap();
    // The kernel accepts. Whether TLS is spoken here is a question that a server answers with one byte.
    let mut socket = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    socket.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let silence = socket.read(&mut [0]).unwrap_err();
    assert_eq!(silence.kind(), std::io::ErrorKind::WouldBlock);
    server.thaw().unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut answer = [0];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"N");
    server.freeze().unwrap();
    let pid = server.pid().unwrap();
    drop(server);
    assert!(!runs(pid));
}

#[test]
fn redis_answers_restarts_and_refuses() {
    let mut server = start_or_skip!(Redis::start());
    assert_eq!(server.command(&["SET", "key", "value"]).unwrap(), "OK");
    assert_eq!(server.command(&["GET", "key"]).unwrap(), "value");
    assert_eq!(server.command(&["KEYS", "*"]).unwrap(), "key");
    assert!(matches!(server.command(&["NOPE"]), Err(ServerError::Refused { .. })));
    server.restart().unwrap();
    assert_eq!(server.command(&["GET", "key"]).unwrap(), "");
    server.freeze().unwrap();
    server.thaw().unwrap();
    assert_eq!(server.command(&["PING"]).unwrap(), "PONG");
}

#[test]
fn pgbouncer_leads_to_postgres() {
    let server = start_or_skip!(Postgres::start());
    let mut proxy = start_or_skip!(PgBouncer::start(&server, &[], &[]));
    proxy.restart().unwrap();
    assert!(proxy.log().contains("process up"), "{}", proxy.log());
    assert!(proxy.console("SHOW POOLS").unwrap().contains("postgres|postgres|"));
}

#[test]
fn two_pgbouncers_share_a_port() {
    let server = start_or_skip!(Postgres::start());
    let settings = [("so_reuseport", "1")];
    let one = start_or_skip!(PgBouncer::start(&server, &[], &settings));
    let two = one.beside(&server, &[], &settings).unwrap();
    assert_eq!(one.port(), two.port());
    assert_ne!(one.pid(), two.pid());
    assert!(two.log().contains("process up"), "{}", two.log());
}

/// A signal reaches one thread of many, at some time. When `freeze` returns, none runs.
#[test]
#[cfg(target_os = "linux")]
#[ignore = "long: waits for a server that stops, fires or follows"]
fn no_thread_of_a_frozen_server_runs() {
    let mut server = start_or_skip!(MariaDb::start());
    // Four threads that work, whichever of them the signal reaches.
    server.sql("CREATE DATABASE busy; SET GLOBAL event_scheduler = ON").unwrap();
    for event in 0..4 {
        let does = "ON SCHEDULE AT CURRENT_TIMESTAMP DO DO BENCHMARK(1000000000000, 1)";
        server.sql(&format!("CREATE EVENT busy.event_{event} {does}")).unwrap();
    }
    let states = |pid: i32| -> String {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let stats =
            threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap());
        stats.map(|stat| stat.rsplit(") ").next().unwrap()[..1].to_owned()).collect()
    };
    for _ in 0..20 {
        server.freeze().unwrap();
        let frozen = states(server.pid().unwrap());
        server.thaw().unwrap();
        assert!(frozen.len() > 1 && frozen.chars().all(|state| state == 'T'), "{frozen}");
    }
}

/// Not a test of its own: `a_killed_test_leaves_nothing` starts it in a process of its own, and kills that.
#[test]
fn victim() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let mut postgres = Postgres::start().unwrap();
    println!("victim {} {}", postgres.pid().unwrap(), postgres.folder().display());
    if std::env::var(VICTIM).unwrap() == "frozen" {
        postgres.freeze().unwrap();
    }
    println!("victim ready");
    loop {
        std::thread::park();
    }
}

fn kill_a_test(how: &str) {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["victim", "--exact", "--nocapture"])
        .env(VICTIM, how)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let words = lines.by_ref().find_map(|line| line.split_once("victim ").map(|(_, words)| words.to_owned()));
    let words = words.expect("the victim says what it has started");
    let (pid, folder) = words.split_once(' ').unwrap();
    let (pid, folder) = (pid.parse().unwrap(), Path::new(folder));
    assert!(lines.any(|line| line.contains("victim ready")));
    assert!(runs(pid) && folder.exists());
    process.kill().unwrap();
    process.wait().unwrap();
    wait_until("the server stops", || !runs(pid));
    wait_until("the folder goes", || !folder.exists());
}

#[test]
#[ignore = "long: waits for a server that stops, fires or follows"]
fn a_killed_test_leaves_nothing() {
    drop(start_or_skip!(Postgres::start()));
    kill_a_test("running");
}

#[test]
#[ignore = "long: waits for a server that stops, fires or follows"]
fn a_killed_test_leaves_nothing_frozen() {
    drop(start_or_skip!(Postgres::start()));
    kill_a_test("frozen");
}

#[test]
fn a_panic_leaves_nothing() {
    let server = start_or_skip!(Postgres::start());
    let (pid, folder) = (server.pid().unwrap(), server.folder().to_owned());
    let panicked = std::thread::spawn(move || {
        let _server = server;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert!(!runs(pid) && !folder.exists());
}

#[test]
fn mariadb_answers_and_restarts() {
    let mut server = start_or_skip!(MariaDb::start_with(&[("max_connections", "17")]));
    assert_eq!(server.sql("SELECT @@max_connections, 'a'").unwrap(), "17\ta");
    server.sql("CREATE TABLE kept (id int); INSERT INTO kept VALUES (5)").unwrap();
    server.restart().unwrap();
    assert_eq!(server.sql("SELECT id FROM kept").unwrap(), "5");
    assert!(server.sql("SELECT nothing").is_err());
}

#[test]
fn haproxy_passes_on_in_turn() {
    let (one, two) = (start_or_skip!(Redis::start()), start_or_skip!(Redis::start()));
    let mut proxy = start_or_skip!(HaProxy::start(&[one.port(), two.port()], &[]));
    proxy.restart().unwrap();
    for _ in 0..4 {
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        client.write_all(b"INCR asked\r\n").unwrap();
        client.read_exact(&mut [0; 4]).unwrap();
    }
    for server in [&one, &two] {
        assert_eq!(server.command(&["GET", "asked"]).unwrap(), "2");
    }
    assert!(proxy.command("show servers state tcp").unwrap().contains("server1"));
    drop(one);
    wait_until("the proxy notices", || proxy.statistics().unwrap().contains("DOWN"));
}

#[test]
fn nginx_answers_and_restarts() {
    let mut server = start_or_skip!(Nginx::start("location / { return 200 hello; }"));
    server.restart().unwrap();
    let mut client = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello"), "{answer}");
}

#[test]
#[ignore = "long: waits for a server that stops, fires or follows"]
fn prometheus_scrapes_and_alerts() {
    let rules = "groups: [{name: a, rules: [{alert: TargetDown, expr: up == 0}]}]";
    // Nothing listens on port 1.
    let server = start_or_skip!(Prometheus::start(&[1], Some(rules)));
    assert!(server.query("1 + 1").unwrap().contains("\"2\""));
    assert!(server.query("1 +").is_err());
    wait_until("the alert fires", || server.alerts().unwrap().contains("TargetDown"));
    assert!(Prometheus::start(&[], Some("groups: 5")).is_err());
}

#[test]
#[ignore = "long: waits for a server that stops, fires or follows"]
fn rabbitmq_answers_restarts_and_leaves_no_name_server() {
    let mut server = start_or_skip!(RabbitMq::start_with(&[("channel_max", "7")]));
    assert_eq!(server.control(&["eval", "rabbit_misc:get_env(rabbit, channel_max, 0)."]).unwrap(), "7");
    server.control(&["add_vhost", "kept"]).unwrap();
    server.restart().unwrap();
    assert!(server.control(&["list_vhosts"]).unwrap().lines().any(|host| host == "kept"));
    assert!(server.control(&["no_such_command"]).is_err());
    let (pid, folder) = (server.pid().unwrap(), server.folder().to_owned());
    let listed = Command::new("ps").args(["-o", "pid=", "--ppid", &pid.to_string()]).output().unwrap().stdout;
    let children: Vec<i32> =
        String::from_utf8(listed).unwrap().split_whitespace().map(|id| id.parse().unwrap()).collect();
    assert_eq!(children.len(), 2, "the broker and its name server");
    drop(server);
    assert!(!runs(pid) && !children.into_iter().any(runs) && !folder.exists());
}
