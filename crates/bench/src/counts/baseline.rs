//! Compares counts with those that are committed.

use super::{Count, Counts, Size};

/// How far instructions may move before somebody has to say why.
const SAME_COMPILER: f64 = 0.02;
const OTHER_COMPILER: f64 = 0.15;

/// Counts of other competitors move with their versions, which is no business of this repository.
const OURS: [&str; 2] = ["poolhouse", "poolhouse-default"];

pub fn ours(competitor: &str) -> bool {
    OURS.contains(&competitor)
}

/// The figures that are out of their band, each in a sentence.
pub fn check(old: &Counts, new: &Counts) -> Vec<String> {
    let band = if old.rustc == new.rustc { SAME_COMPILER } else { OTHER_COMPILER };
    let mut found = Vec::new();
    for old in old.results.iter().filter(|old| ours(&old.competitor)) {
        let same = |new: &&Count| (&new.scenario, &new.competitor) == (&old.scenario, &old.competitor);
        let name = format!("{} {}", old.scenario, old.competitor);
        match new.results.iter().find(same) {
            None => found.push(format!("{name} was not counted")),
            Some(new) => {
                let figures = |count: &Count| {
                    [
                        ("instructions_per_op", count.instructions_per_op, band),
                        ("allocations_per_op", count.allocations_per_op, 0.0),
                        ("bytes_per_op", count.bytes_per_op, 0.0),
                    ]
                };
                compare(&name, &figures(old), &figures(new), &mut found);
            }
        }
    }
    for old in old.sizes.iter().filter(|old| ours(&old.competitor)) {
        match new.sizes.iter().find(|new| new.competitor == old.competitor) {
            None => found.push(format!("the sizes of {} were not counted", old.competitor)),
            Some(new) => {
                let figures = |size: &Size| {
                    [
                        ("guard_bytes", size.guard_bytes as f64, 0.0),
                        ("acquire_future_bytes", size.acquire_future_bytes as f64, 0.0),
                        ("bytes_per_waiter", size.bytes_per_waiter, 0.0),
                        ("bytes_per_waiter_10k", size.bytes_per_waiter_10k, 0.0),
                    ]
                };
                compare(&old.competitor, &figures(old), &figures(new), &mut found);
            }
        }
    }
    found
}

/// A figure's name, its value, and the share of it by which it may differ.
type Figure = (&'static str, f64, f64);

fn compare(name: &str, old: &[Figure], new: &[Figure], found: &mut Vec<String>) {
    for (&(figure, old, band), &(_, new, _)) in old.iter().zip(new) {
        if (new - old).abs() > old.abs() * band + 0.005 {
            let allowed = if band > 0.0 { format!("{} %", band * 100.0) } else { "nothing".to_string() };
            found.push(format!("{name}: {figure} was {old:.2} and is {new:.2}; it may differ by {allowed}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    fn counts(rustc: &str, instructions: f64, allocations: f64, future: usize) -> Counts {
        let machine = Machine {
            cpu: String::new(),
            cores: 2,
            os: String::new(),
            rustc: rustc.to_string(),
            memory_gib: 1,
        };
        let result = |competitor: &str| Count {
            scenario: "S1".to_string(),
            competitor: competitor.to_string(),
            instructions_per_op: instructions,
            allocations_per_op: allocations,
            bytes_per_op: 0.0,
        };
        let size = Size {
            competitor: "poolhouse".to_string(),
            guard_bytes: 16,
            acquire_future_bytes: future,
            bytes_per_waiter: 48.0,
            bytes_per_waiter_10k: 48.0,
        };
        Counts {
            command: String::new(),
            date: String::new(),
            machine,
            rustc: rustc.to_string(),
            results: vec![result("poolhouse"), result("bb8")],
            sizes: vec![size],
        }
    }

    #[test]
    fn instructions_have_a_band_that_depends_on_the_compiler() {
        let old = counts("1.95.0", 200.0, 0.0, 120);
        assert!(check(&old, &counts("1.95.0", 203.0, 0.0, 120)).is_empty());
        assert!(check(&old, &counts("1.96.0", 225.0, 0.0, 120)).is_empty());
        let found = check(&old, &counts("1.95.0", 205.0, 0.0, 120));
        assert_eq!(found.len(), 1, "only ours: {found:?}");
        assert!(found[0].contains("instructions_per_op was 200.00 and is 205.00"), "{found:?}");
        // Less is a change too: the baseline must follow, or it hides the next step back.
        assert_eq!(check(&old, &counts("1.95.0", 190.0, 0.0, 120)).len(), 1);
    }

    #[test]
    fn allocations_and_sizes_have_no_band() {
        let old = counts("1.95.0", 200.0, 0.0, 120);
        assert_eq!(check(&old, &counts("1.96.0", 200.0, 0.01, 120)).len(), 1);
        assert_eq!(check(&old, &counts("1.96.0", 200.0, 0.0, 128)).len(), 1);
    }

    #[test]
    fn what_was_not_counted_is_missed() {
        let old = counts("1.95.0", 200.0, 0.0, 120);
        let mut new = old.clone();
        new.results.clear();
        new.sizes.clear();
        assert_eq!(check(&old, &new).len(), 2);
    }
}
