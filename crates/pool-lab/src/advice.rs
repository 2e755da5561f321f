//! The arithmetic of a size: what Little's law and Erlang C say of a scenario before it runs.

use crate::scenario::{Arrivals, Scenario};
use crate::theory;

/// What arithmetic says of each of the replicas' pools. Nothing, if it does not apply.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Advice {
    /// Connections that are held on average, by Little's law.
    pub held: Option<f64>,
    /// The same by `max_connections`. From 1 on, the queue grows without end.
    pub utilisation: Option<f64>,
    /// The mean wait by Erlang C, in milliseconds, times [`theory::spread`].
    pub mean_wait: Option<f64>,
    /// The wait of 99 of 100 by Erlang C, in milliseconds, times [`theory::spread`].
    pub p99_wait: Option<f64>,
    /// The least `max_connections` that keeps the target, by the same arithmetic.
    pub least_connections: Option<usize>,
    /// Whether arrivals and holds are those that Erlang C is exact for.
    pub is_exact: bool,
    /// Connections that all replicas may open together.
    pub together: usize,
    /// The same at most during a deploy, with the old replicas that have been told to end and still run.
    pub in_a_deploy: usize,
    /// Connections that the server accepts.
    pub server_limit: Option<usize>,
}

impl Advice {
    pub(crate) fn of(scenario: &Scenario) -> Self {
        let values = &scenario.values;
        let together = (values.max_connections * values.replicas) as usize;
        let mut advice = Self {
            together,
            in_a_deploy: values.max_connections as usize * scenario.replicas_in_a_deploy(),
            server_limit: (values.server_limit > 0.0).then_some(values.server_limit as usize),
            ..Self::default()
        };
        let Some(rate) = scenario.rate() else { return advice };
        let connections = values.max_connections as usize;
        let held = rate / values.replicas * scenario.mean_hold() / 1e3;
        let utilisation = held / values.max_connections;
        advice.held = Some(held);
        advice.utilisation = Some(utilisation);
        advice.is_exact = scenario.is_exact();
        if scenario.arrivals() == Arrivals::Poisson {
            let spread = theory::spread(1.0, scenario.spread_of_holds());
            let finite = |holds: f64| holds.is_finite().then_some(holds * spread * scenario.mean_hold());
            advice.mean_wait = finite(theory::mean_wait(connections, utilisation));
            advice.p99_wait = finite(theory::wait_quantile(connections, utilisation, 0.99));
            advice.least_connections =
                theory::least_connections(held, 0.99, values.target / scenario.mean_hold() / spread);
        }
        advice
    }
}
