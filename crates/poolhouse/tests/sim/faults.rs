//! Every fault: those of the echo server, and those of the network before it.

use std::time::Duration;

use poolhouse_echo::{Faults, Reply};

use crate::common::{ms, secs};

/// A fault, and how it is brought about.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    Nothing,
    /// Of these, whatever is not the default.
    Server(Faults),
    DisconnectAll,
    /// Nobody listens.
    Stopped,
    /// A new server, whose longest frame is of so many bytes.
    ShortFrames(usize),
    /// A wire that moves nothing and says nothing.
    Silence,
    /// A wire that moves nothing on the connections that are open, and is fine for new ones.
    Forgotten,
    /// A server that takes so long to accept.
    SlowDial(Duration),
}

pub(crate) const SHORT: usize = 8;

/// All of them. `nothing` is there to compare with.
pub(crate) fn all() -> Vec<Fault> {
    let none = Faults::default;
    let server = |name, faults| Fault { name, what: What::Server(faults) };
    let reply = |name, reply| server(name, Faults { reply, ..none() });
    let other = |name, what| Fault { name, what };
    vec![
        other("nothing", What::Nothing),
        server("slow", Faults { latency: Some(ms(700)), ..none() }),
        server("too_slow", Faults { latency: Some(secs(60)), ..none() }),
        server("random_latency", Faults { random_latency: Some(ms(0)..=secs(4)), seed: 7, ..none() }),
        server("closes_idle", Faults { close_idle_after: Some(ms(50)), ..none() }),
        server("closes_after_one_frame", Faults { close_after_frames: Some(1), ..none() }),
        server("closes_at_once", Faults { close_after_frames: Some(0), ..none() }),
        server("max_connections_2", Faults { max_connections: Some(2), ..none() }),
        server("refuses_all", Faults { max_connections: Some(0), ..none() }),
        reply("never_replies", Reply::Never),
        reply("half_then_stall", Reply::HalfThenStall),
        reply("half_then_close", Reply::HalfThenClose),
        reply("garbage", Reply::Garbage),
        reply("crosstalk", Reply::Crosstalk),
        reply("reset", Reply::Reset),
        other("disconnects_all", What::DisconnectAll),
        other("stopped", What::Stopped),
        other("short_frames", What::ShortFrames(SHORT)),
        other("silence", What::Silence),
        other("forgotten", What::Forgotten),
        other("slow_dial", What::SlowDial(ms(600))),
        other("too_slow_dial", What::SlowDial(secs(3))),
    ]
}

/// Taken apart by name: a new fault of the echo server does not compile until it is here.
pub(crate) fn worsen(faults: &mut Faults, worse: &Faults) {
    let Faults {
        latency,
        random_latency,
        seed,
        close_idle_after,
        close_after_frames,
        max_connections,
        reply,
    } = worse.clone();
    faults.latency = latency.or(faults.latency);
    faults.random_latency = random_latency.or(faults.random_latency.take());
    faults.seed = seed;
    faults.close_idle_after = close_idle_after.or(faults.close_idle_after);
    faults.close_after_frames = close_after_frames.or(faults.close_after_frames);
    faults.max_connections = max_connections.or(faults.max_connections);
    faults.reply = reply;
}
