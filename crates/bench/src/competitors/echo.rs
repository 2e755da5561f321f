//! What only S5 compares with.

use super::poolhouse::Full;
use super::version;
use crate::competitor::{About, Kind};

/// A way to do without a pool.
#[derive(Debug, Clone, Copy)]
pub struct WithoutPool {
    id: &'static str,
    label: &'static str,
    setup: &'static str,
}

pub const DEDICATED: WithoutPool = WithoutPool {
    id: "dedicated",
    label: "a connection for each task",
    setup: "64 connections, each of one task: nobody waits, and the server has eight times the connections.",
};

pub const CONNECT_EACH: WithoutPool = WithoutPool {
    id: "connect-each",
    label: "a connect for each operation",
    setup: "Connects, exchanges and closes with a reset, so that ports are free at once.",
};

pub const SHARED: WithoutPool = WithoutPool {
    id: "shared",
    label: "one connection behind a mutex",
    setup: "One connection behind a tokio mutex, which is held for the exchange.",
};

impl WithoutPool {
    pub fn about(self) -> About {
        let Self { id, label, setup } = self;
        About { id, label, version: format!("tokio {}", version("tokio")), kind: "baseline", setup }
    }
}

/// Poolhouse with its own packet protocol.
pub fn packet_pool() -> About {
    About {
        id: "poolhouse-packet",
        label: "poolhouse, its packet protocol",
        setup: "Everything on, as for poolhouse; PacketPool with its codec in place of an exchange by hand.",
        ..Full::about()
    }
}

/// The peer that is also measured without a look at the socket.
pub fn trusting(about: &About) -> Option<About> {
    (about.id == "deadpool-timeout").then(|| About {
        id: "deadpool-trusting",
        label: "deadpool, 30 s wait timeout, no look",
        setup: "As deadpool with its wait timeout, but recycle trusts the connection: a closed one is handed out.",
        ..about.clone()
    })
}

/// Everything in this file, for the list of competitors. `pools` are those that may have a trusting twin.
pub fn all(pools: &[About]) -> Vec<About> {
    let mut all: Vec<About> = pools.iter().filter_map(trusting).collect();
    all.push(packet_pool());
    all.extend([DEDICATED, CONNECT_EACH, SHARED].map(WithoutPool::about));
    all
}
