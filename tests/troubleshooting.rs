//! Each troubleshooting page has a program that shows the symptom, and shows that the cure cures it.
//!
//! The program `examples/troubleshooting/NAME.rs` prints counts, a line each as `label: number`, once below
//! `== the symptom` and once below `== after the cure`. The test of the examples compares the whole output with what the
//! page shows. Here stands what the counts have to say.

use std::env;
use std::path::PathBuf;
use std::sync::LazyLock;

use book_checks::examples::{self, Example, Run};
use book_checks::{assert_none, incidents, traces};

use crate::examples::RUNS;

static ROOT: LazyLock<PathBuf> =
    LazyLock::new(|| env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo test").into());

/// A program, one of its counts, and what must hold of that count before and after the cure.
struct Claim {
    program: &'static str,
    label: &'static str,
    holds: fn(u64, u64) -> bool,
}

const fn claim(program: &'static str, label: &'static str, holds: fn(u64, u64) -> bool) -> Claim {
    Claim { program, label, holds }
}

/// A program may have several claims.
const CLAIMS: &[Claim] = &[
    // A line each: program, count, what holds of it before and after.
    claim("pool_exhaustion", "timed out", |before, after| before == 4 && after == 0),
    claim("pool_exhaustion", "pending_requests after 500 ms", |before, after| before == 6 && after == 0),
    claim("connection_churn", "connections_created", |before, after| before == 50 && after == 5),
    claim("connection_churn", "connections_destroyed", |before, after| before == 50 && after == 0),
    claim("stale_connections", "failed requests", |before, after| before == 3 && after == 0),
    claim("server_down", "server down, blamed on the pool", |before, after| before == 3 && after == 0),
    claim("server_down", "server down, waited for the whole deadline", |before, after| {
        before == 3 && after == 0
    }),
    claim("server_down", "wrong password, waited for the whole deadline", |before, after| {
        before == 3 && after == 0
    }),
    claim("slow_first_requests", "after the start, slow requests", |before, after| before == 4 && after == 0),
    claim("slow_first_requests", "after a lull, slow requests", |before, after| before > 0 && after == 0),
    claim("leaks", "timed out", |before, after| before == 3 && after == 0),
    claim("leaks", "active_connections", |before, after| before == 3 && after == 0),
    claim("leaks", "reported_leaks", |before, after| before == 3 && after == 0),
    claim("deadlock_at_n", "pool of 4, 4 tasks, stuck for 5 s", |before, after| before == 4 && after == 0),
    claim("deadlock_at_n", "pool of 4, 3 tasks, stuck for 5 s", |before, after| before == 0 && after == 0),
    claim("after_a_lull", "requests that failed", |before, after| before == 5 && after == 0),
    claim("after_a_lull", "the slowest took", |before, after| before == 10 && after == 0),
    claim("after_a_lull", "connections that only the server knows", |before, after| {
        before == 5 && after == 0
    }),
    claim("crosstalk", "wrong answers", |before, after| before == 5 && after == 0),
    claim("descriptors_and_ports", "local ports used", |before, after| before > 190 && after == 1),
    claim("descriptors_and_ports", "open at once", |before, after| before > 50 && after <= 10),
    claim("hangs_in_tests", "tests that failed", |before, after| before == 4 && after == 0),
    claim("stampede", "most in one second", |before, after| before == 80 && after < 20),
    claim("stampede", "most open at once", |before, after| before == 100 && after < before),
    claim("timeouts_without_load", "timed out behind a report", |before, after| before > 0 && after == 0),
    claim("timeouts_without_load", "timed out behind a leak", |before, after| before == 1 && after == 0),
    claim("timeouts_without_load", "timed out before the connect was done", |before, after| {
        before > 0 && after == 0
    }),
    claim("too_many_clients", "requests that failed", |before, after| before > 0 && after == 0),
    claim("too_many_clients", "most connections at once", |before, after| before == 20 && after <= 18),
    claim("too_many_clients", "refused by the server", |before, after| before > 0 && after == 0),
];

fn programs() -> Vec<Example> {
    let mut programs = examples::list(&ROOT).expect("examples/ can be read");
    programs.retain(is_troubleshooting);
    programs
}

fn is_troubleshooting(example: &Example) -> bool {
    example.group() == Some("troubleshooting")
}

/// The first number of the line `label: ...` below the heading.
fn count(output: &str, heading: &str, label: &str) -> Option<u64> {
    let below = output.lines().skip_while(|line| *line != heading).skip(1);
    let line = below
        .take_while(|line| !line.starts_with("== "))
        .find_map(|line| line.strip_prefix(label)?.strip_prefix(": "))?;
    let digits: String = line.chars().take_while(|c| c.is_ascii_digit() || *c == ',').collect();
    digits.replace(',', "").parse().ok()
}

/// What is wrong with the run of a program. Empty if nothing is.
fn failure(program: &Example, run: &Run) -> String {
    if let Some(failure) = examples::failure(run) {
        return format!("{}: {failure}\n", program.source);
    }
    let wrong = CLAIMS.iter().filter(|claim| claim.program == program.name).filter_map(|claim| {
        let before = count(&run.stdout, "== the symptom", claim.label);
        let after = count(&run.stdout, "== after the cure", claim.label);
        let holds = before.zip(after).is_some_and(|(before, after)| (claim.holds)(before, after));
        let message = format!(
            "{}: `{}` is {before:?} before the cure and {after:?} after it:\n{}",
            program.source, claim.label, run.stdout
        );
        (!holds).then_some(message)
    });
    wrong.collect()
}

#[test]
fn every_cure_cures() {
    let runs = RUNS.iter().filter(|(program, _)| is_troubleshooting(program));
    let failures: String = runs.map(|(program, run)| failure(program, run)).collect();
    assert!(failures.is_empty(), "{failures}");
}

/// What the box "Right now" of a page advises is as good as the cure while it lasts.
#[test]
fn first_aid_helps() {
    let first_aid: [(&str, &str, &str, u64); 2] = [
        ("stampede", "== spread by hand, and still no jitter", "most in one second", 20),
        ("crosstalk", "== every connection for one caller only", "wrong answers", 1),
    ];
    for (name, heading, label, below) in first_aid {
        let (_, run) = RUNS.iter().find(|(program, _)| program.name == name).expect("an example");
        let counted = count(&run.stdout, heading, label);
        assert!(counted.is_some_and(|counted| counted < below), "{name}: {counted:?}\n{}", run.stdout);
    }
}

/// Each picture of a page is drawn from what its program does now.
#[test]
fn programs_do_what_is_drawn() {
    let runs = traces::run_all(&ROOT).unwrap_or_else(|error| panic!("{error:#}"));
    assert!(!runs.is_empty(), "no program has a trace");
    assert_none(traces::check_data(&ROOT, &runs));
}

#[test]
fn every_page_has_a_program_and_every_program_a_claim() {
    let book = book_checks::Book::load(&ROOT).expect("the chapters can be read");
    let programs = programs();
    for page in incidents::pages(&book) {
        let file = page.name.rsplit('/').next().expect("a path");
        let name = file.trim_end_matches(".md").replace('-', "_");
        assert!(
            programs.iter().any(|program| program.name == name),
            "{}: no examples/troubleshooting/{name}.rs shows the symptom: write it",
            page.name
        );
        assert!(
            page.text.contains(&format!("examples/output/{name}.txt")),
            "{}: show what the program prints: include examples/output/{name}.txt",
            page.name
        );
    }
    for program in &programs {
        assert!(
            CLAIMS.iter().any(|claim| claim.program == program.name),
            "{}: no claim in tests/troubleshooting.rs: add one",
            program.source
        );
    }
    for claim in CLAIMS {
        let known = programs.iter().any(|program| program.name == claim.program);
        assert!(known, "no examples/troubleshooting/{}.rs: mend the claim", claim.program);
    }
}

#[test]
fn counts_are_read_below_their_heading() {
    let output = "== the symptom\nlost: 1,200 of 3\n== after the cure\nlost: 0\n";
    assert_eq!(count(output, "== the symptom", "lost"), Some(1200));
    assert_eq!(count(output, "== after the cure", "lost"), Some(0));
    assert_eq!(count(output, "== after the cure", "found"), None);
}

/// What the page on descriptors says of a process that runs out of them.
#[cfg(unix)]
#[test]
fn out_of_descriptors_is_said_and_a_pool_needs_few() {
    use std::process::Command;

    let built = examples::build(&ROOT).unwrap_or_else(|error| panic!("{error:#}"));
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\""])
        .arg(&built["descriptors_and_ports"])
        .output()
        .expect("there is a shell");
    let printed = String::from_utf8_lossy(&output.stdout);
    let (symptom, cure) = printed.split_once("== after the cure").expect("two parts");
    assert!(symptom.contains("log: cannot dial: Too many open files (os error 24)"), "{printed}");
    assert!(cure.contains("failed: 0 of 100"), "{printed}");
}

/// What the page says of TIME_WAIT: the side that closes first keeps the port.
#[cfg(target_os = "linux")]
#[test]
fn who_closes_first_has_the_time_wait() -> std::io::Result<()> {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    /// The sockets in TIME_WAIT: the local port and the remote one of each.
    fn resting() -> std::io::Result<Vec<(u16, u16)>> {
        let table = std::fs::read_to_string("/proc/self/net/tcp")?;
        let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let port = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
        let resting = rows.filter(|row| row.get(3) == Some(&"06"));
        Ok(resting.filter_map(|row| Some((port(row[1])?, port(row[2])?))).collect())
    }

    for client_first in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let mut clients = Vec::new();
        for _ in 0..20 {
            let mut client = TcpStream::connect(("127.0.0.1", port))?;
            clients.push(client.local_addr()?.port());
            let (mut server, _) = listener.accept()?;
            let (first, second) = if client_first { (client, &mut server) } else { (server, &mut client) };
            drop(first);
            assert_eq!(second.read(&mut [0])?, 0);
        }
        // Each pair by itself: other programs have sockets that rest, too.
        let resting = resting()?;
        for client in clients {
            let found = [(client, port), (port, client)].map(|pair| resting.contains(&pair));
            assert_eq!(found, [client_first, !client_first], "the client closes first: {client_first}");
        }
    }
    Ok(())
}
