//! The program `layers`: what its tables in the book say must be so. Counts only: how long something takes on a busy machine
//! says nothing.

use std::path::Path;
use std::time::Duration;

use real_services::layers::fleet::Fleet;
use real_services::layers::given_up::{STATEMENTS, Way, hung_up, killed};
use real_services::layers::pooler::{Work, maintenance, prepared, roll_outs};
use real_services::layers::queues::{SERVER_CONNECTIONS, queues};
use real_services::layers::relay::{
    Check, Empties, Moves, SERVERS, deaths, drains, returns,
};
use real_services::layers::service::{Service, Statement};
use real_services::layers::{POOL, PROCESSES};
use test_servers::{HaProxy, PgBouncer, Postgres, start_or_skip};

/// The processes of the service are this program with another argument.
const PROGRAM: &str = env!("CARGO_BIN_EXE_layers");

fn program() -> &'static Path {
    Path::new(PROGRAM)
}

/// All connections of all processes.
const ALL: usize = PROCESSES * POOL;

macro_rules! haproxy_or_skip {
    () => {
        drop(start_or_skip!(Postgres::start()));
        drop(start_or_skip!(HaProxy::start(&[1], &[])));
    };
}

macro_rules! pgbouncer_or_skip {
    () => {
        let server = start_or_skip!(Postgres::start());
        drop(start_or_skip!(PgBouncer::start(&server, &[], &[])));
        drop(server);
    };
}

/// A server that dies fails what is on its connections, and nothing else.
#[test]
fn behind_haproxy_a_dead_server_fails_at_most_its_own_connections() {
    haproxy_or_skip!();
    for death in deaths(program(), Duration::from_secs(6)).unwrap() {
        assert!(death.requests > 500, "{death:?}");
        // A frozen server fails each of its connections once. A stopped one may find some of them at rest.
        assert!(death.errors <= ALL / SERVERS, "{death:?}");
        assert_eq!(death.late_errors, 0, "{death:?}");
        if death.frozen {
            assert!(death.errors > 0, "{death:?}");
        }
        // The whole limit passes, unless HAProxy cuts what leads to a server that is down.
        let waited = death.slowest_error > Duration::from_millis(3900);
        let cut = !death.frozen || death.check == Check::AsksAndCuts;
        assert_eq!(waited, !cut, "{death:?}");
    }
}

/// A server that returns gets nothing until connections are opened anew.
#[test]
fn behind_haproxy_a_server_that_returns_gets_its_share_of_new_connections() {
    haproxy_or_skip!();
    for returned in returns(program()).unwrap() {
        let [before, down, after] = returned.connections;
        if returned.moves == Moves::Nothing {
            assert_eq!(before, [ALL / SERVERS; SERVERS], "{returned:?}");
            assert_eq!((down[0], down[1] + down[2]), (0, ALL), "{returned:?}");
            assert_eq!((after[0], returned.share), (0, 0), "{returned:?}");
        } else {
            // Some are being opened anew at any time.
            assert!(
                before.iter().all(|count| (1..=7).contains(count)) && down[0] == 0,
                "{returned:?}"
            );
            assert!((1..=7).contains(&after[0]), "{returned:?}");
            assert!(returned.share > 5, "{returned:?}");
        }
    }
}

/// A drained server keeps its connections for their lifetime. Once it is empty, stopping it is no error.
#[test]
fn behind_haproxy_a_drain_lasts_as_long_as_a_lifetime() {
    haproxy_or_skip!();
    for drain in drains(program()).unwrap() {
        assert_eq!(drain.before, ALL / SERVERS, "{drain:?}");
        match drain.empties {
            Empties::Nothing => assert_eq!(
                (drain.left, drain.took, drain.errors),
                (4, None, 0),
                "{drain:?}"
            ),
            Empties::Lifetime | Empties::Renewal => {
                assert_eq!(
                    (drain.left, drain.errors, drain.errors_of_stop),
                    (0, 0, 0),
                    "{drain:?}"
                );
            }
            Empties::Cut => {
                assert!(drain.left == 0 && drain.errors_of_stop == 0, "{drain:?}");
                assert!(drain.errors <= drain.before, "{drain:?}");
            }
        }
    }
}

/// `PAUSE` and `RECONNECT` are no errors. What ends PgBouncer is one for each connection that is in use, at most.
#[test]
fn behind_pgbouncer_maintenance_between_pause_and_resume_fails_nothing() {
    pgbouncer_or_skip!();
    let works = [
        Work::ServerAwayRetried,
        Work::ServerAwayPaused,
        Work::Reconnect,
        Work::Shutdown,
        Work::PausedShutdown,
    ];
    for seen in maintenance(program(), &works).unwrap() {
        assert!(seen.requests > 100 && seen.recovered, "{seen:?}");
        match seen.work {
            Work::ServerAway | Work::ServerAwayRetried => {
                assert!(seen.errors > 0, "{seen:?}");
            }
            Work::ServerAwayPaused | Work::Reconnect => {
                assert_eq!((seen.errors, seen.kept_backends), (0, 0), "{seen:?}");
            }
            Work::Shutdown | Work::PausedShutdown => {
                assert!(seen.errors <= ALL, "{seen:?}");
            }
        }
    }
}

/// By default PgBouncer refuses everybody for 15 s after one failed login, although the server has been back for long.
#[test]
fn behind_pgbouncer_a_failed_login_is_told_for_a_quarter_of_a_minute() {
    pgbouncer_or_skip!();
    let seen = maintenance(program(), &[Work::ServerAway]).unwrap().remove(0);
    assert!(seen.recovered, "{seen:?}");
    assert!(
        seen.recovery > Duration::from_secs(8)
            && seen.recovery < Duration::from_secs(17),
        "{seen:?}"
    );
    assert!(seen.reason.contains("server_login_retry"), "{seen:?}");
}

#[test]
fn behind_haproxy_pgbouncers_are_rolled_out_within_a_lifetime() {
    pgbouncer_or_skip!();
    haproxy_or_skip!();
    let [long, short] = <[_; 2]>::try_from(roll_outs(program()).unwrap()).unwrap();
    assert_eq!((long.before, long.took), (ALL / 2, None), "{long:?}");
    assert!(short.took.is_some(), "{short:?}");
    assert_eq!(short.errors, 0, "{short:?}");
}

/// PgBouncer 1.18 does not know prepared statements of the protocol: a statement is on one server connection, and the next
/// message goes to another.
#[test]
fn behind_pgbouncer_typed_statements_work_and_prepared_ones_do_not() {
    pgbouncer_or_skip!();
    for row in prepared(program()).unwrap() {
        assert!(row.requests > 50, "{row:?}");
        match row.statement {
            Statement::Typed
            | Statement::DroppedInTransaction
            | Statement::GivenUp => {
                assert_eq!(row.errors, 0, "{row:?}");
            }
            // From 1.21 on PgBouncer may track them.
            Statement::Prepared | Statement::InTransaction if is_old() => {
                assert!(row.errors > 0, "{row:?}");
                assert!(row.reason.contains("prepared statement"), "{row:?}");
            }
            Statement::Prepared | Statement::InTransaction => {}
        }
    }
}

/// Whether the PgBouncer that is installed is older than 1.21.
fn is_old() -> bool {
    let server = Postgres::start().unwrap();
    let version = PgBouncer::start(&server, &[], &[])
        .unwrap()
        .console("SHOW VERSION")
        .unwrap();
    let minor =
        version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    minor.expect("a version such as PgBouncer 1.18.0") < 21
}

/// With small pools callers wait in them, with large ones in PgBouncer. There are no more connections to the server.
#[test]
fn behind_pgbouncer_the_queue_is_where_connections_are_fewer() {
    pgbouncer_or_skip!();
    let rows = queues(program(), &[1, 20], Duration::from_secs(4)).unwrap();
    let [small, large] = <[_; 2]>::try_from(rows).unwrap();
    assert!(PROCESSES * small.pool <= SERVER_CONNECTIONS);
    assert_eq!((small.errors, small.most_in_proxy), (0, 0), "{small:?}");
    assert!(small.most_in_pools > 0, "{small:?}");
    assert_eq!((large.errors, large.most_in_pools), (0, 0), "{large:?}");
    assert!(large.most_in_proxy > 0, "{large:?}");
}

/// A cancel request is a connection of its own: what balances connections may lead it elsewhere.
#[test]
fn a_cancel_request_finds_its_statement_where_there_is_one_way() {
    pgbouncer_or_skip!();
    haproxy_or_skip!();
    let rows = hung_up(program(), &Way::ALL).unwrap();
    assert_eq!(rows.len(), Way::ALL.len());
    for row in rows {
        match row.way {
            Way::Direct | Way::Pooler | Way::RelayBySource => {
                assert_eq!((row.lost, row.still_run), (0, 0), "{row:?}");
            }
            Way::TwoPoolersOnOnePort | Way::RelayAndPoolers | Way::Relay => {
                assert!(row.lost > 0 && row.still_run <= STATEMENTS, "{row:?}");
            }
        }
    }
}

/// A process that is killed leaves its statements to the server, whatever is between, unless the server looks for its
/// client.
#[test]
fn statements_of_a_killed_process_run_on_unless_the_server_looks() {
    pgbouncer_or_skip!();
    haproxy_or_skip!();
    for row in killed(program()).unwrap() {
        assert_eq!(
            row.still_run,
            if row.server_looks { 0 } else { STATEMENTS },
            "{row:?}"
        );
    }
}

/// The configurations that the book gives to copy are accepted, and statements come through.
#[test]
fn the_configurations_of_the_book_work() {
    let server = start_or_skip!(Postgres::start());
    server
        .sql("CREATE ROLE app LOGIN PASSWORD 'secret'; CREATE ROLE haproxy LOGIN")
        .unwrap();
    let ini = include_str!("../../src/layers/copy/pgbouncer.ini");
    let settings: Vec<_> =
        ini.lines().filter_map(|line| line.split_once(" = ")).collect();
    assert!(settings.len() > 3);
    let pooler =
        start_or_skip!(PgBouncer::start(&server, &[("app", "secret")], &settings));
    let cfg = include_str!("../../src/layers/copy/haproxy.cfg");
    // The test has ports of its own, and so the lines that name some.
    let names_ports =
        |line: &&str| line.starts_with("bind ") || line.starts_with("server ");
    let lines: Vec<_> = cfg
        .lines()
        .skip(1)
        .map(str::trim)
        .filter(|line| !names_ports(line))
        .collect();
    assert!(lines.len() > 5);
    let relay = start_or_skip!(HaProxy::start(&[server.port()], &lines));
    for (port, knows_pooler) in [(pooler.port(), true), (relay.port(), false)] {
        let service = Service { knows_pooler, ..Service::at(port) };
        let requests = {
            let fleet = Fleet::start(program(), &service, 1).unwrap();
            std::thread::sleep(Duration::from_millis(300));
            fleet.stop().unwrap()
        };
        assert!(
            requests.count() > 0 && requests.errors() == 0,
            "{:?}",
            requests.reason()
        );
    }
}
