//! What queueing theory says: exact for Poisson arrivals and exponential hold times, from the basic operations alone.

use crate::draws::ln;

/// The share of requests that have to wait in an M/M/c queue, by Erlang C. 1 at and above saturation.
///
/// ```
/// // One connection, busy half the time: half of the requests find it busy.
/// assert_eq!(pool_lab::theory::share_that_waits(1, 0.5), 0.5);
/// ```
pub fn share_that_waits(connections: usize, utilisation: f64) -> f64 {
    if utilisation >= 1.0 {
        return 1.0;
    }
    let offered = utilisation * connections as f64;
    // Erlang B by its recursion, which neither overflows nor needs a factorial.
    let blocked = (1..=connections).fold(1.0, |b, n| offered * b / (n as f64 + offered * b));
    blocked / (1.0 - utilisation * (1.0 - blocked))
}

/// The mean wait in an M/M/c queue, in mean hold times. Infinite at and above saturation.
pub fn mean_wait(connections: usize, utilisation: f64) -> f64 {
    if utilisation >= 1.0 {
        return f64::INFINITY;
    }
    share_that_waits(connections, utilisation) / (connections as f64 * (1.0 - utilisation))
}

/// The wait that this share of requests stays within in an M/M/c queue, in mean hold times.
pub fn wait_quantile(connections: usize, utilisation: f64, share: f64) -> f64 {
    if utilisation >= 1.0 {
        return f64::INFINITY;
    }
    let (waits, longer) = (share_that_waits(connections, utilisation), 1.0 - share);
    if waits <= longer { 0.0 } else { ln(waits / longer) / (connections as f64 * (1.0 - utilisation)) }
}

/// By how much the waits of Erlang C are to be multiplied, for arrivals and holds that vary more or less than it assumes.
/// Each is the square of the standard deviation by the mean: 1 for what Erlang C assumes, 0 for what is always equal.
/// Kingman's factor: near the truth for one connection that is busy, and an approximation elsewhere.
pub fn spread(of_arrivals: f64, of_holds: f64) -> f64 {
    f64::midpoint(of_arrivals, of_holds)
}

/// How many replicas a deploy adds at most: each wave of new ones, `surge` of them, takes as long as `start`, and the old
/// ones live on for `end`. A wave that has begun counts whole, so the quotient is rounded up, and not the product.
pub fn more_replicas(replicas: f64, surge: f64, start: f64, end: f64) -> f64 {
    let waves = if end > 0.0 { 1.0 + (end / start).ceil() } else { 1.0 };
    if surge > 0.0 { (surge * waves).min(replicas) } else { 0.0 }
}

/// An M/M/c queue in which only so many may wait: the share that is refused, and the mean wait of the others in mean
/// hold times.
pub fn finite_queue(connections: usize, places: usize, utilisation: f64) -> (f64, f64) {
    let offered = utilisation * connections as f64;
    // The weights of 0, 1, ... requests in the system, scaled so that they cannot overflow.
    let mut weights = vec![1.0];
    for n in 1..=connections + places {
        let next = weights[n - 1] * offered / n.min(connections) as f64;
        weights.push(next);
        if next > 1e100 {
            weights.iter_mut().for_each(|weight| *weight /= 1e100);
        }
    }
    let sum: f64 = weights.iter().sum();
    let refused = weights[connections + places] / sum;
    let waiting = weights.iter().enumerate().map(|(n, weight)| n.saturating_sub(connections) as f64 * weight);
    let waiting = waiting.sum::<f64>() / sum;
    // Little's law, with the rate of those who are let in.
    (refused, waiting / (offered * (1.0 - refused)))
}

/// No pool of the lab has more connections, and a search for more would keep a browser busy.
const MOST_CONNECTIONS: usize = 5_000;

/// The least number of connections whose wait, at this share of requests, is at most so many mean hold times. Nothing
/// if that is more than 5,000.
pub fn least_connections(offered: f64, share: f64, wait: f64) -> Option<usize> {
    let first = (offered as usize).saturating_add(1);
    (first..=MOST_CONNECTIONS)
        .find(|connections| wait_quantile(*connections, offered / *connections as f64, share) <= wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deploy_adds_at_most_as_many_as_there_are() {
        assert_eq!(more_replicas(8.0, 1.0, 5.0, 30.0), 7.0);
        assert_eq!(more_replicas(4.0, 1.0, 5.0, 30.0), 4.0);
        assert_eq!(more_replicas(4.0, 1.0, 0.0, 30.0), 4.0);
        assert_eq!(more_replicas(4.0, 0.0, 0.0, 30.0), 0.0);
        assert_eq!(more_replicas(4.0, 3.0, 0.0, 0.0), 3.0);
    }

    /// From tables of the Erlang formulas.
    #[test]
    fn the_formulas_give_what_the_tables_say() {
        let near = |a: f64, b: f64| (a - b).abs() < 5e-5;
        assert!(near(share_that_waits(2, 0.75), 0.642_857), "{}", share_that_waits(2, 0.75));
        assert!(near(mean_wait(1, 0.9), 9.0));
        assert!(near(mean_wait(2, 0.75), 1.285_714));
        assert_eq!(wait_quantile(10, 0.1, 0.99), 0.0);
        assert_eq!(mean_wait(3, 1.0), f64::INFINITY);
    }

    #[test]
    fn a_finite_queue_is_the_infinite_one_when_it_is_long() {
        let (refused, wait) = finite_queue(4, 2_000, 0.8);
        assert!(refused < 1e-12);
        assert!((wait - mean_wait(4, 0.8)).abs() < 1e-9);
        // One connection and no place to wait: Erlang B.
        assert_eq!(finite_queue(1, 0, 1.0), (0.5, 0.0));
        assert!(finite_queue(1_000, 100_000, 50.0).0.is_finite());
    }

    #[test]
    fn the_least_number_keeps_the_target_and_one_less_does_not() {
        for (offered, wait) in [(0.5, 0.5), (8.0, 0.1), (95.0, 0.02)] {
            let least = least_connections(offered, 0.99, wait).unwrap();
            assert!(wait_quantile(least, offered / least as f64, 0.99) <= wait);
            let fewer = least - 1;
            assert!(fewer as f64 <= offered || wait_quantile(fewer, offered / fewer as f64, 0.99) > wait);
        }
        for offered in [6e5, 1e300, f64::INFINITY] {
            assert_eq!(least_connections(offered, 0.99, 0.001), None);
        }
    }
}
