//! How a fault is brought about on the network in memory, and how it is lifted.

use poolhouse_echo::{EchoServerBuilder, Faults, Reply};

use crate::faults::{Fault, What, all, worsen};
use crate::network::Network;

impl Fault {
    pub(crate) async fn strike(&self, network: &Network) {
        match &self.what {
            What::Nothing => {}
            What::Server(worse) => network.set_faults(|faults| worsen(faults, worse)),
            What::DisconnectAll => network.disconnect_all(),
            What::Stopped => network.stop().await,
            What::ShortFrames(bytes) => {
                network.stop().await;
                network.start(|builder: EchoServerBuilder| builder.max_frame_length(*bytes));
            }
            What::Silence => network.set(|weather| weather.silent = true),
            What::Forgotten => network.forget(),
            What::SlowDial(time) => network.set(|weather| weather.dial_time = *time),
        }
    }

    pub(crate) async fn lift(&self, network: &Network) {
        network.lift_all(matches!(self.what, What::Stopped | What::ShortFrames(_))).await;
    }
}

/// Whether each option of the echo server differs from the default. Taken apart by name, like `worsen`.
fn options(faults: &Faults) -> [(&'static str, bool); 5] {
    let Faults {
        latency,
        random_latency,
        seed: _,
        close_idle_after,
        close_after_frames,
        max_connections,
        reply: _,
    } = faults;
    [
        ("latency", latency.is_some()),
        ("random_latency", random_latency.is_some()),
        ("close_idle_after", close_idle_after.is_some()),
        ("close_after_frames", close_after_frames.is_some()),
        ("max_connections", max_connections.is_some()),
    ]
}

/// A fault that the echo server learns needs a row of its own.
#[test]
fn every_fault_of_the_server_has_a_row() {
    let faults = all();
    let rows: Vec<&Faults> = faults
        .iter()
        .filter_map(|fault| match &fault.what {
            What::Server(faults) => Some(faults),
            _ => None,
        })
        .collect();
    for (index, (option, _)) in options(&Faults::default()).into_iter().enumerate() {
        assert!(rows.iter().any(|faults| options(faults)[index].1), "`{option}` has no row");
    }
    for reply in Reply::all().iter().filter(|reply| **reply != Reply::Echo) {
        assert!(rows.iter().any(|faults| faults.reply == *reply), "{reply:?} has no row");
    }
}
